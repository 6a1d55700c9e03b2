-- Cancel a job: at once where it waits, through its worker where it runs; a batch at once, its waiting children by the
-- slice.
-- @include leases
-- Returns 'cancelled', 'more' (a batch has ended, children are left), 'asked' (it runs; its worker ends it), 'missing',
--   or 'refused:<state>'. Emits bank.job.cancelled for each job that ends here.
local job = load_job(id)
if not job then return reply('missing') end
if job.state == 'cancelled' and call('SISMEMBER', key.cancelling, id) == 1 then
  begin()
  return reply(cancel_children(id) and 'more' or 'cancelled')
end
if not can(job, 'cancel') then return reply('refused:' .. job.state) end
begin()
if job.state == 'active' then
  call('HSET', job.key, 'cancel', '1')
  if is_answering(job) then call('DEL', key.question(job.question)) end -- who asks again means another job
  return reply('asked')
end
if job.state ~= 'waiting-children' then
  end_job(job, 'cancel', {})
  return reply('cancelled')
end
cancel_batch(job)
return reply(cancel_children(id) and 'more' or 'cancelled')
