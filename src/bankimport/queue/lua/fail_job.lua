-- End a run badly: tried again after `delay`, or failed for good.
-- KEYS: prelude. ARGV: id, fence, error, code, delay (ms; -1 for good), 'cancelled' if somebody cancelled it.
-- Returns 'delayed', 'failed' or 'lost'. Emits bank.sync.failed, then bank.job.retrying or the terminal event.
-- The same fence again (its reply was lost) is answered with the state it led to.
local id, fence, message, code, delay = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local job = load_job(id)
if job and job.fence == fence and (job.state == 'delayed' or job.state == 'failed') then return reply(job.state) end
if not owned(id, fence) then return reply('lost') end
if ARGV[6] == 'cancelled' then
  end_job(job, 'cancel', {})
  return reply('failed')
end
job.attempts = int(call('HINCRBY', job.key, 'attempts', 1))
local again = delay >= 0 and job.cancel ~= '1'
emit('bank.sync.failed', job.org, id, of_job(id, job.type) .. ',"error":' .. cjson.encode(message) .. ',"errorCode":'
  .. cjson.encode(code) .. ',"attempt":' .. job.attempts .. ',"willRetry":' .. (again and 'true' or 'false'))
if not again then
  end_job(job, job.cancel == '1' and 'cancel' or 'fail', {error = message, code = code})
  return reply('failed')
end
local due = NOW + delay
move(job, 'delay', due)
call('HSET', job.key, 'error', message, 'code', code)
call('HDEL', job.key, 'worker', 'progress')
release(job)
to_arq(job, due)
emit('bank.job.retrying', job.org, id,
  of_job(id, job.type) .. ',"attemptsMade":' .. job.attempts .. ',"retryAt":"' .. iso(due) .. '"')
wake()
return reply('delayed')
