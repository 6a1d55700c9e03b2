-- Cancel a job: at once where it waits, through its worker where it runs, its waiting children where it is a batch.
-- KEYS: prelude. ARGV: id, cursor ('0', then what 'more' told: a large batch's children end by the slice).
-- Returns 'cancelled', 'asked' (it runs; its worker ends it), 'more:<cursor>', 'missing', or 'refused:<state>'.
-- Emits bank.job.cancelled for each job that ends here.
local SLICE = 100
local job = load_job(ARGV[1])
if not job then return reply('missing') end
if not TRANSITIONS['cancel'][job.state] then
  if ARGV[2] ~= '0' then return reply('cancelled') end -- its last child has ended since
  return reply('refused:' .. job.state)
end
if job.state == 'active' then
  call('HSET', job.key, 'cancel', '1')
  return reply('asked')
end
if job.state ~= 'waiting-children' then
  end_job(job, 'cancel', {})
  return reply('cancelled')
end
call('HSET', job.key, 'cancel', '1')
local found = call('SSCAN', P .. 'children:' .. job.id, ARGV[2], 'COUNT', SLICE)
for _, id in ipairs(found[2]) do
  local child = load_job(id)
  if not child then
    child_ended(job.id, {id = id, let = '0'}, false)
  elseif child.parent == job.id and (child.state == 'waiting' or child.state == 'delayed') then
    child.let = '0' -- its place goes to nobody: its brothers end here as well
    end_job(child, 'cancel', {})
  end
end
if call('HGET', job.key, 'state') == 'failed' then return reply('cancelled') end
return reply(found[1] == '0' and 'asked' or 'more:' .. found[1])
