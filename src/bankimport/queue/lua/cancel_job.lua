-- Cancel a job: at once where it waits, through its worker where it runs, its waiting children where it is a batch.
-- KEYS: prelude. ARGV: id.
-- Returns 'cancelled', 'asked' (it runs; its worker ends it), 'missing', or 'refused:<state>'.
-- Emits bank.job.cancelled for each job that ends here.
local job = load_job(ARGV[1])
if not job then return reply('missing') end
if not TRANSITIONS['cancel'][job.state] then return reply('refused:' .. job.state) end
if job.state == 'active' then
  call('HSET', job.key, 'cancel', '1')
  return reply('asked')
end
if job.state ~= 'waiting-children' then
  end_job(job, 'cancel', {})
  return reply('cancelled')
end
call('HSET', job.key, 'cancel', '1')
for _, id in ipairs(call('SMEMBERS', P .. 'children:' .. job.id)) do
  local child = load_job(id)
  if not child then
    call('SREM', P .. 'children:' .. job.id, id)
  elseif child.parent == job.id and (child.state == 'waiting' or child.state == 'delayed') then
    child.let = '0' -- its place goes to nobody: its brothers end here as well
    end_job(child, 'cancel', {})
  end
end
return reply(call('HGET', job.key, 'state') == 'failed' and 'cancelled' or 'asked')
