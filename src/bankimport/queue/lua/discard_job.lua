-- Discard a job: one that waits is cancelled, the record of one that has ended is removed.
-- @include batches
-- Returns 'discarded', 'missing' or 'refused:<state>'. Emits bank.job.cancelled where it waited.
local job = load_job(id)
if not job then return reply('missing') end
begin()
if job.state == 'waiting' or job.state == 'delayed' then
  end_job(job, 'cancel', {})
elseif ENDED[job.state] then
  remove_record(job)
else
  return reply('refused:' .. job.state)
end
return reply('discarded')
