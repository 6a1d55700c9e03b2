-- Start the jobs that this worker may start now, manual before scheduled, organisations in turn.
-- KEYS: prelude. ARGV: worker id, number of the call, free slots, lease (ms), an organisation's places, limiter's
--   maximum, its window (ms).
-- Returns {claims, wait (ms until something may be startable, -1 unknown), foreign ('1' if arq's queue holds members
--   that are not ours), length of arq's queue}; a claim is {id, type, org, data, payload, attempts, fence, queued, psu}. Emits
--   bank.job.started, and what sweeping and promoting emit.
-- The same number of a call again (its reply was lost) is given the same claims again, with new leases.
local worker, number, slots, lease = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local places, most = tonumber(ARGV[5]), tonumber(ARGV[6])
-- A job finds itself running some ms after its claim, and not all jobs equally late: a twentieth more than asked keeps
-- the limit by their own clocks too.
local window = math.ceil(tonumber(ARGV[7]) * 1.05)
local claims = {}

local function describe(job)
  return {job.id, job.type, job.org, job.data, call('GET', 'arq:job:' .. job.id) or '', job.attempts, job.fence,
    job.queued, job.psu ~= '' and call('GET', P .. 'psu:' .. job.id) or ''}
end

local function foreign(length)
  return length == tonumber(call('HGET', P .. 'meta', 'in-arq') or 0) + in_arq and '0' or '1'
end

local last = call('HMGET', P .. 'claims:' .. worker, 'number', 'ids')
if last[1] == number then
  for id in string.gmatch(last[2], '[^,]+') do
    local job = load_job(id)
    if job and job.state == 'active' and job.worker == worker then
      call('ZADD', P .. 'leases', NOW + lease, id)
      claims[#claims + 1] = describe(job)
    end
  end
  return reply({claims, 0, '0', -1})
end

sweep_stalled()
promote_due()
local stopped = paused()
local function any_ready() return call('EXISTS', P .. 'ready:manual', P .. 'ready:orgs') > 0 end
local ready = any_ready() -- with nothing in line, the rest costs an idle worker nothing

local room, quarter = 0, math.ceil(window / 4)
local paced = '(' .. int(NOW - quarter)
local ids, fence = {}, 0

local function start(id)
  local job = load_job(id)
  if not job or job.state ~= 'waiting' then return end
  if is_held(job) then
    call('ZADD', P .. 'held:' .. job.lock, tonumber(job.order), id)
    return
  end
  if job.lock ~= '' then call('SET', P .. 'lock:' .. job.lock, id) end
  fence = fence + 1
  job.fence, job.worker = int(fence), worker
  move(job, 'start')
  call('HSET', job.key, 'fence', job.fence, 'worker', worker, 'started', int(NOW))
  call('ZADD', P .. 'leases', NOW + lease, id)
  call('SET', 'arq:in-progress:' .. id, worker, 'PX', lease)
  call('ZADD', P .. 'starts', NOW, job.fence)
  if job.manual ~= '1' then call('SADD', P .. 'running:' .. job.org, id) end
  emit('bank.job.started', job.org, id, of_job(id, job.type))
  claims[#claims + 1] = describe(job)
  ids[#ids + 1] = id
end

-- Whether an organisation has all its places taken; a run whose record was removed behind our back takes none.
local function is_full(org)
  local key = P .. 'running:' .. org
  if call('SCARD', key) < places then return false end
  for _, id in ipairs(call('SMEMBERS', key)) do
    if call('HGET', P .. 'job:' .. id, 'state') ~= 'active' then call('SREM', key, id) end
  end
  return call('SCARD', key) >= places
end

if ready and not stopped then
  call('ZREMRANGEBYSCORE', P .. 'starts', '-inf', NOW - window - 1)
  call('ZREMRANGEBYSCORE', P .. 'starts', '(' .. int(NOW), '+inf') -- the clock was set back
  room = most - call('ZCARD', P .. 'starts')
  local free = math.min(slots, room)
  fence = math.max(tonumber(call('HGET', P .. 'meta', 'fence') or 0), NOW * 1000)
  while #claims < free do
    local manual = call('ZPOPMIN', P .. 'ready:manual')
    if not manual[1] then break end
    start(manual[1])
  end
  -- Scheduled jobs take at most three tenths of the limit in a quarter of its window: a crowd of them never uses up a
  -- whole window at its beginning, so a person waits for a part of one only.
  local evenly = #claims + math.ceil(most * 0.3) - call('ZCOUNT', P .. 'starts', paced, '+inf')
  while #claims < math.min(free, evenly) do
    local org = call('ZPOPMIN', P .. 'ready:orgs')[1]
    if not org then break end
    -- an organisation with all its places taken comes back when one of its runs ends
    if not is_full(org) then
      local id = call('ZPOPMIN', P .. 'ready:org:' .. org)[1]
      if id then
        start(id)
        if call('EXISTS', P .. 'ready:org:' .. org) == 1 then
          call('ZADD', P .. 'ready:orgs', call('HINCRBY', P .. 'meta', 'turn', 1), org)
        end
      end
    end
  end

  if #claims > 0 then
    call('HSET', P .. 'meta', 'fence', int(fence), 'last-start', int(NOW))
    call('PEXPIRE', P .. 'starts', window + 1000)
    call('HSET', P .. 'claims:' .. worker, 'number', number, 'ids', table.concat(ids, ','))
    call('PEXPIRE', P .. 'claims:' .. worker, 60000)
  end
end

local waits = -1
local function sooner(at)
  local ms = math.max(1, at - NOW)
  if waits < 0 or ms < waits then waits = ms end
end
local due = call('ZRANGE', P .. 'state:delayed', 0, 0, 'WITHSCORES')
if due[2] then sooner(tonumber(due[2])) end
local stall = call('ZRANGE', P .. 'leases', 0, 0, 'WITHSCORES')
if stall[2] then sooner(tonumber(stall[2])) end
if stopped then
  local over = call('HGET', P .. 'pause', 'until')
  if over then sooner(tonumber(over)) end
elseif ready and any_ready() then
  if #claims == slots then
    wake() -- this worker is full: another one's turn
  elseif room - #claims <= 0 then
    local first = call('ZRANGE', P .. 'starts', 0, 0, 'WITHSCORES')
    if first[2] then sooner(tonumber(first[2]) + window + 2) end
  else
    local first = call('ZRANGEBYSCORE', P .. 'starts', paced, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if first[2] then sooner(tonumber(first[2]) + quarter) end
  end
end
local length = call('ZCARD', QUEUE)
return reply({claims, int(waits), foreign(length), length})
