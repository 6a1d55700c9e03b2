-- End a run badly: tried again after a wait, or failed for good, or cancelled.
-- @include leases
-- bank: the one that was being asked, empty for none. delay: ms, -1 for good. was_cancelled: whether somebody asked for
--   it. result: packed JSON of what was done all the same, empty for nothing.
-- Returns 'delayed', 'failed', 'cancelled' or 'lost'. Emits bank.sync.failed, then bank.job.retrying or the end.
-- The same fence again (its reply was lost) is answered with the state it led to.
local job = load_job(id)
if not job or not has_fence(job, fence) then return 'lost' end
if job.state ~= 'active' then return (job.worker ~= '' or ENDED[job.state]) and job.state or 'lost' end
begin()
if was_cancelled then
  end_job(job, 'cancel', {})
  return 'cancelled'
end
job.attempts = int(call('HINCRBY', job.key, 'attempts', 1))
local again = delay >= 0 and job.cancel ~= '1'
emit_of(job, 'bank.sync.failed', '"error":' .. cjson.encode(message) .. ',"errorCode":'
  .. cjson.encode(code) .. ',"attempt":' .. job.attempts .. ',"willRetry":' .. (again and 'true' or 'false'))
if not again then
  end_job(job, job.cancel == '1' and 'cancel' or 'fail', {error = message, code = code, bank = bank,
    result = result ~= '' and result})
  return job.state
end
call('HDEL', job.key, 'progress')
move(job, 'delay', NOW + delay, 'error', message, 'code', code)
emit_of(job, 'bank.job.retrying', '"attemptsMade":' .. job.attempts .. ',"retryAt":"'
  .. iso(NOW + delay) .. '"')
tell_delayed(job, delay)
wake() -- somebody must look again when its time has come
return 'delayed'
