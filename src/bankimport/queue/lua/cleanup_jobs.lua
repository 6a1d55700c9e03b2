-- Remove ended jobs whose time is over, a slice at a time, and see that the indexes have an end themselves.
-- @include ends
-- state: 'completed', 'failed' or 'cancelled'.
-- Returns the number removed. Emits nothing.
local set, keep = key.state(state), KEEP[state]
local ids = call('ZRANGEBYSCORE', set, '-inf', NOW - keep, 'LIMIT', 0, slice)
for _, id in ipairs(ids) do
  local job = load_job(id)
  if job then
    remove_record(job)
  else -- torn, or gone already
    call('ZREM', set, id)
    call('DEL', key.job(id))
  end
end
call('PEXPIRE', set, int(keep + 2 * DAY))
return reply(#ids)
