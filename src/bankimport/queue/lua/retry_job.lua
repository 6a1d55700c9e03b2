-- Try a job again that failed or was cancelled, as if it had just been asked for.
-- @include ends
-- by_hand: whether a person asks for this very job; else it keeps its lane and its wish.
-- Returns 'waiting', 'missing', 'duplicate:<id>' (its question is being answered by that job), or 'refused:<state>'.
-- Emits bank.job.retrying.
local job = load_job(id)
if not job then return reply('missing') end
if not can(job, 'retry') or (not by_hand and job.state == 'cancelled') then return reply('refused:' .. job.state) end
if call('SISMEMBER', key.cancelling, id) == 1 then return reply('refused:being cancelled') end
local twin = twin_of(job)
if twin then return reply('duplicate:' .. twin.id) end
begin()
if job.state == 'failed' then forget_failed(job) end
for field in string.gmatch('error code finished result started fence parent progress cancel stalls', '%a+') do
  call('HDEL', job.key, field)
end
job.parent, job.stalls, job.attempts = '', '', '0'
if by_hand then -- who retries asks for it now, and not for what would be due to the schedule
  job.manual, job.data = '1', string.gsub(job.data, '"scheduled":true', '"scheduled":false')
end
job.order = rank(job)
call('PERSIST', job.key)
call('PEXPIRE', key.org(job.org), int(KEEP_INDEX))
move(job, 'retry', NOW, 'attempts', '0', 'manual', job.manual, 'order', job.order, 'data', job.data, 'round',
  int(tonumber(job.round ~= '' and job.round or 0) + 1))
if job.question ~= '' then call('SET', key.question(job.question), job.id) end
call('SADD', key.pending(job.org), job.id)
emit_of(job, 'bank.job.retrying', '"attemptsMade":0,"retryAt":"' .. now_text() .. '"')
return reply('waiting')
