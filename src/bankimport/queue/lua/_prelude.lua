-- What scripts start with: names of keys, the clock, transitions, events, and the ways in and out of a state. Of the
-- blocks between blank lines, a script is sent those that it uses (rendering.py).
-- KEYS[1] prefix `bankimport:<queue>:`  KEYS[2] the queue's name at arq  KEYS[3] '1' to return the events emitted
-- A script returns {its answer, {stream id, name, orgId, jobId, data, ...}}.
local P, QUEUE, WANT = KEYS[1], KEYS[2], KEYS[3] == '1'
local call = redis.call
local clock = call('TIME')
local NOW = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local LET_IN, ARQ_EXPIRY, DAY = 3, 2592000000, 86400000
local FRONT = 1e15
local EMITTED = {}

local TRANSITIONS = @TRANSITIONS@

local function int(number) return string.format('%.0f', number) end

local function iso(ms)
  local days = math.floor(ms / DAY)
  local rest = ms - days * DAY
  local z = days + 719468 -- days since 0000-03-01 (civil-from-days)
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day, math.floor(rest / 3600000),
    math.floor(rest / 60000) % 60, math.floor(rest / 1000) % 60, rest % 1000)
end

local iso_now
local function now_text()
  iso_now = iso_now or iso(NOW)
  return iso_now
end

-- One counter numbers both streams, so their ids are of one order and one id resumes both. The clock of the ids never
-- goes back, even if the server's does. A script takes a block of ids before it uses the first, so that one that dies
-- half-way leaves none to be given twice.
local ID_BLOCK = 1000000
local stream_ms, stream_seq
local function stream_id()
  if not stream_ms then
    local last = call('HMGET', P .. 'meta', 'stream-ms', 'stream-block')
    local last_ms, block = tonumber(last[1] or 0), 0
    if NOW > last_ms then last_ms = NOW else block = tonumber(last[2] or 0) + 1 end
    stream_ms, stream_seq = int(last_ms) .. '-', block * ID_BLOCK
    call('HSET', P .. 'meta', 'stream-ms', int(last_ms), 'stream-block', block)
  end
  stream_seq = stream_seq + 1
  return stream_ms .. int(stream_seq)
end

local function append(stream, length, name, org, id, data)
  local entry = stream_id()
  call('XADD', P .. stream, 'MAXLEN', '~', length, entry, 'name', name, 'orgId', org, 'jobId', id, 'data', data)
  if WANT then
    for _, value in ipairs({entry, name, org, id, data}) do EMITTED[#EMITTED + 1] = value end
  end
end

-- `fields` is a JSON object without its braces, empty for none; the timestamp is added here.
local function emit(name, org, id, fields)
  if fields ~= '' then fields = fields .. ',' end
  append('events', @EVENTS_MAX@, name, org, id, '{' .. fields .. '"timestamp":"' .. now_text() .. '"}')
end

local function emit_progress(org, id, kind, fields)
  append('progress', 10000, 'bank.job.progress', org, id,
    '{"jobId":"' .. id .. '","type":"' .. kind .. '",' .. fields .. '}')
end

local function of_job(id, kind) return '"jobId":"' .. id .. '","type":"' .. kind .. '"' end

-- Entries of sorted sets that a script adds by the thousand are written by the hundred.
local ADDED = {}
local function add_later(set, score, member)
  local batch = ADDED[set] or {}
  ADDED[set] = batch
  batch[#batch + 1] = score
  batch[#batch + 1] = member
  if #batch == 200 then
    call('ZADD', set, unpack(batch))
    ADDED[set] = nil
  end
end

local function add_now(set, score, member) call('ZADD', set, score, member) end

local function write_added()
  for set, batch in pairs(ADDED) do call('ZADD', set, unpack(batch)) end
  ADDED = {}
end

-- One token wakes one idle worker; at most 16 lie there. Like other counters they are written once a script.
local wakes, in_arq, pending = 0, 0, {}
local function wake() wakes = math.min(wakes + 1, 16) end

local function write_counters()
  if in_arq ~= 0 then call('HINCRBY', P .. 'meta', 'in-arq', in_arq) end
  for org, number in pairs(pending) do call('INCRBY', P .. 'pending:' .. org, number) end
  if wakes == 0 then return end
  local tokens = {}
  for index = 1, wakes do tokens[index] = '1' end
  local length = call('LPUSH', P .. 'wake', unpack(tokens))
  if length == wakes then call('PEXPIRE', P .. 'wake', DAY) end
  if length > 16 then call('LTRIM', P .. 'wake', 0, 15) end
end

local function reply(answer)
  write_added()
  write_counters()
  return {answer, EMITTED}
end

local FIELDS = {'state', 'type', 'org', 'lock', 'data', 'manual', 'order', 'queued', 'started', 'attempts', 'stalls',
  'fence', 'question', 'parent', 'watchers', 'let', 'cancel', 'worker', 'total', 'ok', 'bad', 'psu', 'arq'}

local function load_job(id)
  local values = call('HMGET', P .. 'job:' .. id, unpack(FIELDS))
  if not values[1] then return nil end
  local job = {id = id, key = P .. 'job:' .. id}
  for index, field in ipairs(FIELDS) do job[field] = values[index] or '' end
  if job.attempts == '' then job.attempts = '0' end
  return job
end

-- The fields of a record as HSET takes them. What is empty is left out, as `load_job` reads it, but for the
-- organisation: the queue's own jobs have none.
local function fields_of(job, names)
  local fields = {}
  for _, name in ipairs(names) do
    local value = job[name] or ''
    if value ~= '' or name == 'org' then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  return fields
end

-- One value over 64 bytes makes a hash of Redis five times as large: a longer one is laid in pieces `name`, `name1`, …
local PIECE, MOST_PIECES = 64, 16
local function add_in_pieces(fields, name, text)
  local size = #text > PIECE * MOST_PIECES and #text or PIECE
  for at = 1, #text, size do
    fields[#fields + 1] = at == 1 and name or name .. int((at - 1) / size)
    fields[#fields + 1] = string.sub(text, at, at + size - 1)
  end
end

-- Whether a record stands in its state's index. One that doesn't (a script broke off, or the index was removed behind
-- our back) never runs, so it must not answer for others.
local CREATED = {}
local function is_whole(job)
  return job and (CREATED[job.id] or call('ZSCORE', P .. 'state:' .. job.state, job.id))
end

-- The unfinished job that answers a question, or nil.
local function answering(question)
  local id = question ~= '' and call('GET', P .. 'question:' .. question)
  local job = id and load_job(id)
  return is_whole(job) and job or nil
end

-- Move a job along the table; returns the new state, or nil where the table has no such way. `score` orders the new
-- state's set (the present instant unless told).
local function move(job, operation, score)
  local to = TRANSITIONS[operation][job.state]
  if not to then return nil end
  if to ~= job.state then
    call('ZREM', P .. 'state:' .. job.state, job.id)
    call('HSET', job.key, 'state', to)
  end
  call('ZADD', P .. 'state:' .. to, score or NOW, job.id)
  job.state = to
  return to
end

-- arq's own payload of a job that may start at `due`.
local function write_payload(job, due)
  local payload = job.arq
  if payload == '' then
    payload = '{"t":null,"f":"' .. job.type .. '","a":[],"k":' .. job.data .. ',"et":' .. job.queued .. '}'
  end
  call('SET', 'arq:job:' .. job.id, payload, 'PX', int(math.max(0, due - NOW) + ARQ_EXPIRY))
end

-- arq's own keys of such a job: its place in arq's queue, and its payload.
local function to_arq(job, due)
  in_arq = in_arq + call('ZADD', QUEUE, due, job.id)
  write_payload(job, due)
end

local function from_arq(id)
  in_arq = in_arq - call('ZREM', QUEUE, id)
  call('DEL', 'arq:job:' .. id, 'arq:in-progress:' .. id, 'arq:retry:' .. id)
end

-- Whether another job runs for the same connection; one whose record was removed behind our back holds up nobody.
local function is_held(job)
  if job.lock == '' then return false end
  local holder = call('GET', P .. 'lock:' .. job.lock)
  return holder and holder ~= job.id and call('HGET', P .. 'job:' .. holder, 'state') == 'active'
end

-- Offer a waiting job to the workers: behind its connection's lock, or among the manual ones, or in its
-- organisation's line. `add` is `add_later` for jobs that the same script doesn't touch again.
local function offer(job, add)
  add = add or add_now
  local order = tonumber(job.order)
  if is_held(job) then
    add(P .. 'held:' .. job.lock, order, job.id)
    return
  end
  if job.manual == '1' then
    add(P .. 'ready:manual', order, job.id)
  else
    add(P .. 'ready:org:' .. job.org, order, job.id)
    call('ZADD', P .. 'ready:orgs', 'NX', tonumber(call('HGET', P .. 'meta', 'turn') or 0), job.org)
  end
end

local function unoffer(job)
  call('ZREM', P .. 'ready:manual', job.id)
  local line = P .. 'ready:org:' .. job.org
  if call('ZREM', line, job.id) == 1 and call('EXISTS', line) == 0 then call('ZREM', P .. 'ready:orgs', job.org) end
  if job.lock ~= '' then call('ZREM', P .. 'held:' .. job.lock, job.id) end
end

local function set_order(job, order)
  job.order = int(order)
  call('HSET', job.key, 'order', job.order)
end

-- Orders count up over all jobs; a script that creates many takes theirs at once.
local order, last_order = 0, 0
local function take_orders(number)
  last_order = call('HINCRBY', P .. 'meta', 'order', number)
  order = last_order - number
end

local function next_order()
  if order == last_order then take_orders(1) end
  order = order + 1
  return order
end

-- What a run held is free again: lease, lock, the organisation's place.
local function release(job)
  call('ZREM', P .. 'leases', job.id)
  call('DEL', 'arq:in-progress:' .. job.id)
  if job.lock ~= '' and call('GET', P .. 'lock:' .. job.lock) == job.id then
    call('DEL', P .. 'lock:' .. job.lock)
    local held = call('ZPOPMIN', P .. 'held:' .. job.lock)
    while held[1] do
      local next_job = load_job(held[1])
      if next_job and next_job.state == 'waiting' then
        offer(next_job)
        wake()
        break
      end
      held = call('ZPOPMIN', P .. 'held:' .. job.lock) -- that record is gone: the next in line
    end
  end
  if job.manual ~= '1' then
    call('SREM', P .. 'running:' .. job.org, job.id)
    if call('EXISTS', P .. 'ready:org:' .. job.org) == 1 then
      call('ZADD', P .. 'ready:orgs', 'NX', tonumber(call('HGET', P .. 'meta', 'turn') or 0), job.org)
      wake()
    end
  end
end

local NEW_FIELDS = {'type', 'org', 'lock', 'data', 'state', 'manual', 'order', 'queued', 'question', 'parent', 'let',
  'arq'}

-- Write a new job: record, indexes, arq's keys, its place in line, its event. `job` has id, type, org, lock, data,
-- question, manual and, where they apply, parent, let, arq, psu.
local function create(job, due)
  job.key, job.order, job.queued = P .. 'job:' .. job.id, int(next_order()), int(NOW)
  job.state = due > NOW and 'delayed' or 'waiting'
  job.arq = job.arq or ''
  CREATED[job.id] = true
  call('HSET', job.key, unpack(fields_of(job, NEW_FIELDS)))
  add_later(P .. 'state:' .. job.state, math.max(NOW, due), job.id)
  add_later(P .. 'org:' .. job.org, NOW, job.id)
  pending[job.org] = (pending[job.org] or 0) + 1
  if job.question ~= '' then call('SET', P .. 'question:' .. job.question, job.id) end
  if job.let ~= '0' then
    in_arq = in_arq + 1
    add_later(QUEUE, math.max(NOW, due), job.id)
    write_payload(job, math.max(NOW, due))
    if job.state == 'waiting' then offer(job, add_later) end
  end
  emit('bank.job.queued', job.org, job.id, of_job(job.id, job.type))
end

-- The person who asks waits beside the job, for a quarter of an hour at most.
local function attend(job, person)
  if person == '' then return end
  call('SET', P .. 'psu:' .. job.id, person, 'PX', 900000)
  call('HSET', job.key, 'psu', '1')
end

local function let_in(job)
  call('HSET', job.key, 'let', '1')
  job.let = '1'
  to_arq(job, NOW)
  offer(job)
end

local end_job -- a child's end may end its batch

local function end_batch(batch)
  local ok, bad, total = tonumber(batch.ok), tonumber(batch.bad), tonumber(batch.total)
  call('DEL', P .. 'children:' .. batch.id, P .. 'unlet:' .. batch.id)
  if batch.cancel == '1' then
    end_job(batch, 'cancel', {})
    return
  end
  local fields = '"totalConnections":' .. total .. ',"successfulSyncs":' .. ok .. ',"failedSyncs":' .. bad
  emit('bank.batch.completed', batch.org, batch.id, '"orgId":"' .. batch.org .. '",' .. fields)
  end_job(batch, 'complete', {result = '{' .. fields .. '}', extra = ',"connectionsSynced":' .. ok})
end

local function batch_fields(batch)
  local done, total = tonumber(batch.ok) + tonumber(batch.bad), tonumber(batch.total)
  local percent = total == 0 and 100 or math.floor(done * 100 / total)
  return '"stage":"syncing_accounts","message":"' .. done .. ' of ' .. total .. ' connections done","percent":' .. percent
end

-- Count an ended child once in a batch that waits for it, and let the next one in.
local function child_ended(batch_id, child, success)
  if call('SREM', P .. 'children:' .. batch_id, child.id) == 0 then return end
  local batch = load_job(batch_id)
  if not batch or batch.state ~= 'waiting-children' then return end
  local field = success and 'ok' or 'bad'
  batch[field] = call('HINCRBY', batch.key, field, 1)
  if child.let == '1' and child.parent == batch_id then
    local next_id = call('LPOP', P .. 'unlet:' .. batch_id)
    while next_id do
      local next_job = load_job(next_id)
      if next_job and next_job.state == 'waiting' and next_job.let == '0' then
        let_in(next_job)
        wake()
        break
      end
      next_id = call('LPOP', P .. 'unlet:' .. batch_id)
    end
  end
  local fields = batch_fields(batch)
  call('HSET', batch.key, 'progress', '{' .. fields .. '}')
  if NOW - tonumber(call('HGET', batch.key, 'told') or 0) >= 250 then -- as for a run: at most four times a second
    call('HSET', batch.key, 'told', int(NOW))
    emit_progress(batch.org, batch.id, batch.type, fields)
  end
  if call('SCARD', P .. 'children:' .. batch_id) == 0 then end_batch(batch) end
end

local function emit_failed_progress(job, message)
  local percent = job.progress ~= '' and cjson.decode(job.progress).percent or 0
  emit_progress(job.org, job.id, job.type,
    '"stage":"failed","message":' .. cjson.encode(message) .. ',"percent":' .. int(percent))
end

-- The record of an ended job is written anew and small: Redis never makes a hash compact again that once was large.
local COMPLETED_FIELDS = {'state', 'type', 'org', 'data', 'queued', 'started', 'finished', 'attempts', 'fence'}
local FAILED_FIELDS = {'state', 'type', 'org', 'data', 'queued', 'started', 'finished', 'attempts', 'fence', 'lock',
  'question', 'arq', 'error', 'code', 'progress'}

local function write_ended(job, how, outcome)
  local completed = how == 'complete'
  job.state, job.finished = completed and 'completed' or 'failed', int(NOW)
  local fields
  if completed then
    fields = fields_of(job, COMPLETED_FIELDS)
    add_in_pieces(fields, 'result', outcome.result)
  else
    job.error, job.code = outcome.error or 'cancelled', outcome.code or 'cancelled'
    job.progress = call('HGET', job.key, 'progress') or ''
    fields = fields_of(job, FAILED_FIELDS)
  end
  local keep = completed and @KEEP_COMPLETED@ or @KEEP_FAILED@
  call('DEL', job.key)
  call('HSET', job.key, unpack(fields))
  call('PEXPIRE', job.key, keep + DAY)
  call('ZADD', P .. 'state:' .. job.state, NOW, job.id)
  call('PEXPIRE', P .. 'state:' .. job.state, keep + 2 * DAY)
  call('PEXPIRE', P .. 'org:' .. job.org, @KEEP_LONGEST@ + 2 * DAY)
end

-- End a job for good: `how` is 'complete', 'fail' or 'cancel'. `outcome` has result, extra (fields of
-- bank.job.completed), error, code. The one terminal event is the last of its events.
end_job = function(job, how, outcome)
  local was_active = job.state == 'active'
  if not was_active then unoffer(job) end
  call('ZREM', P .. 'state:' .. job.state, job.id)
  if job.psu ~= '' then call('DEL', P .. 'psu:' .. job.id) end
  write_ended(job, how, outcome)
  if was_active then release(job) end
  from_arq(job.id)
  if job.question ~= '' and call('GET', P .. 'question:' .. job.question) == job.id then
    call('DEL', P .. 'question:' .. job.question)
  end
  if call('DECR', P .. 'pending:' .. job.org) <= 0 then call('DEL', P .. 'pending:' .. job.org) end

  local about = of_job(job.id, job.type)
  if how == 'complete' then
    local started = job.started ~= '' and tonumber(job.started) or NOW
    emit_progress(job.org, job.id, job.type, '"stage":"completed","message":"completed","percent":100')
    emit('bank.job.completed', job.org, job.id, about .. ',"queuedAt":"' .. iso(tonumber(job.queued))
      .. '","startedAt":"' .. iso(started) .. '","completedAt":"' .. now_text() .. '","duration":' .. int(NOW - started)
      .. ',"attempts":' .. int(tonumber(job.attempts) + 1) .. (outcome.extra or '') .. ',"success":true')
  elseif how == 'cancel' then
    emit_failed_progress(job, 'cancelled')
    emit('bank.job.cancelled', job.org, job.id, about)
  else
    emit_failed_progress(job, outcome.error)
    emit('bank.job.failed', job.org, job.id,
      about .. ',"attempts":' .. job.attempts .. ',"error":' .. cjson.encode(outcome.error))
  end
  if job.parent ~= '' then child_ended(job.parent, job, how == 'complete') end
  for watcher in string.gmatch(job.watchers, '[^,]+') do child_ended(watcher, job, how == 'complete') end
end

-- A job that was running waits again, before all others; no attempt is counted.
local function to_front(job, operation)
  if not move(job, operation) then return false end
  call('HDEL', job.key, 'worker')
  release(job)
  set_order(job, next_order() - FRONT)
  to_arq(job, NOW)
  offer(job)
  wake()
  return true
end

-- Runs whose lease has ended: they wait again; the third time they have failed.
local function sweep_stalled()
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'leases', '-inf', NOW, 'LIMIT', 0, 100)) do
    local job = load_job(id)
    if not job or job.state ~= 'active' then
      call('ZREM', P .. 'leases', id)
    else
      local stalls = call('HINCRBY', job.key, 'stalls', 1)
      emit('bank.job.stalled', job.org, id, of_job(id, job.type) .. ',"stalls":' .. stalls)
      if job.cancel == '1' then
        end_job(job, 'cancel', {})
      elseif stalls >= 3 then
        end_job(job, 'fail', {error = 'job stalled more than allowable limit', code = 'stalled'})
      else
        to_front(job, 'stall')
      end
    end
  end
end

-- Delayed jobs whose time has come wait in their old order.
local function promote_due()
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'state:delayed', '-inf', NOW, 'LIMIT', 0, 200)) do
    local job = load_job(id)
    if job and move(job, 'promote') then
      offer(job)
    else
      call('ZREM', P .. 'state:delayed', id)
    end
  end
end

-- Whether nothing may start; a pause whose time is over ends here.
local function paused()
  local pause = call('HMGET', P .. 'pause', 'since', 'until')
  if not pause[1] then return false end
  if not pause[2] or tonumber(pause[2]) > NOW then return true end
  call('DEL', P .. 'pause')
  emit('bank.queue.resumed', '', '', '')
  return false
end

-- The job that this worker may still write to: it runs, and under this fence.
local function owned(id, fence)
  local job = load_job(id)
  if job and job.state == 'active' and job.fence == fence then return job end
  return nil
end
