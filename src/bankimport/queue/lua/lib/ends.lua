-- @include moves
-- The end of a job, the same for a run's word, a cancel, a stall and a batch's last child.
local COMPLETED_FIELDS = {'state', 'type', 'org', 'data', 'times', 'attempts', 'fence', 'parent'}
local FAILED_FIELDS = {'state', 'type', 'org', 'data', 'queued', 'started', 'finished', 'attempts', 'fence', 'parent',
  'lock', 'question', 'manual', 'payload', 'round', 'error', 'code', 'progress', 'bank'}
local KEEP = {completed = KEEP_COMPLETED, failed = KEEP_FAILED, cancelled = KEEP_COMPLETED}

-- What failed is found again by its reason, its type, its organisation, its bank, and by its reason at that bank.
local function failed_indexes(job)
  return {key.failed_code(job.code), key.failed_type(job.type), key.failed_org(job.org),
    key.failed_kind(job.code, job.bank), job.bank ~= '' and key.failed_bank(job.bank) or nil}
end

local function index_failed(job) -- @rarely
  for _, index in ipairs(failed_indexes(job)) do
    call('ZADD', index, job.finished, job.id)
    call('PEXPIRE', index, int(KEEP_FAILED + 2 * DAY))
  end
  call('ZADD', key.failed_kinds, job.finished, job.code .. ':' .. job.bank)
  call('ZREMRANGEBYSCORE', key.failed_kinds, '-inf', int(NOW - KEEP_FAILED - 2 * DAY))
  call('PEXPIRE', key.failed_kinds, int(KEEP_FAILED + 2 * DAY))
end

local function forget_failed(job) -- @rarely
  job.code = job.code or call('HGET', job.key, 'code') or ''
  job.bank = job.bank or call('HGET', job.key, 'bank') or ''
  for _, index in ipairs(failed_indexes(job)) do call('ZREM', index, job.id) end
  if call('EXISTS', key.failed_kind(job.code, job.bank)) == 0 then
    call('ZREM', key.failed_kinds, job.code .. ':' .. job.bank)
  end
end

-- A completed job keeps the end of its fence, to know its own end again: a number of five bytes instead of nine.
local function last_digits(fence) return string.sub(fence, -9) end

local function has_fence(job, fence) return job.fence == (job.state == 'completed' and last_digits(fence) or fence) end

-- The record of an ended job is written anew and small: Redis never makes a hash compact again that once was large.
local function write_ended(job, outcome)
  job.finished = int(NOW)
  local fields
  if job.state == 'completed' then -- when it was asked for, how long it waited, and how long it took, in ms
    local started = job.started ~= '' and tonumber(job.started) or NOW
    job.waited, job.took = int(started - tonumber(job.queued)), int(NOW - started)
    job.times = job.queued .. ' ' .. job.waited .. ' ' .. job.took
    job.fence = last_digits(job.fence)
    fields = fields_of(job, COMPLETED_FIELDS)
    if outcome.message and outcome.message ~= 'completed' then add_in_pieces(fields, 'said', outcome.message) end
  else
    job.error, job.code = outcome.error or 'cancelled', outcome.code or 'cancelled'
    job.bank = outcome.bank or ''
    job.progress = call('HGET', job.key, 'progress') or ''
    fields = fields_of(job, FAILED_FIELDS)
  end
  if outcome.result then add_in_pieces(fields, 'result', outcome.result) end
  local gone = {job.key, key.psu(job.id), key.notes(job.id)}
  if is_answering(job) then gone[#gone + 1] = key.question(job.question) end
  call('DEL', unpack(gone))
  call('HSET', job.key, unpack(fields))
  call('PEXPIRE', job.key, int(KEEP[job.state] + DAY))
  if job.state == 'failed' then index_failed(job) end
end

local function emit_completed(job, outcome)
  emit_progress(job, '"stage":"completed","message":' .. cjson.encode(outcome.message or 'completed') .. ',"percent":100')
  emit_of(job, 'bank.job.completed', '"waited":' .. job.waited -- one run and success: unsaid
    .. ',"duration":' .. job.took .. (entry_ms ~= NOW and ',"early":' .. int(entry_ms - NOW) or '')
    .. (job.attempts ~= '0' and ',"attempts":' .. int(tonumber(job.attempts) + 1) or '') .. (outcome.extra or '')
    .. (outcome.success == false and ',"success":false' or ''))
end

local function emit_unfinished(job) -- @rarely
  local percent = job.progress ~= '' and cjson.decode(job.progress).percent or 0
  emit_progress(job, '"stage":"failed","message":' .. cjson.encode(job.error) .. ',"percent":' .. int(percent))
  if job.state == 'cancelled' then
    emit_of(job, 'bank.job.cancelled')
  else
    emit_of(job, 'bank.job.failed', '"attempts":' .. job.attempts .. ',"error":' .. cjson.encode(job.error))
  end
end

local tell_batches -- a child's end may end its batch

-- End a job for good: `how` is 'complete', 'fail' or 'cancel'. `outcome` has result, extra (fields of
-- bank.job.completed), success, error, code. The one terminal event is the last of its events.
local function end_job(job, how, outcome)
  move(job, how, NOW)
  write_ended(job, outcome)
  if job.parent == '' then call('SREM', key.pending(job.org), job.id) end
  if job.state == 'completed' then emit_completed(job, outcome) else emit_unfinished(job) end
  tell_batches(job, how == 'complete' and (outcome.as or 'ok') or 'bad')
end

local function remove_record(job)
  if job.state == 'failed' then forget_failed(job) end
  call('ZREM', key.state(job.state), job.id)
  call('ZREM', key.org(job.org), job.id)
  call('DEL', job.key)
end
