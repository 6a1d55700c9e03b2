-- Count one unattended request of a key, if the budget allows it now: `budget.slot` (banking.md §5).
-- @include redis/plain
-- name: digest of the key. at: the request's instant (ms). limit: empty for none. since: the instant (ms) after which
--   reads count. who: digest of the connection. asks: 'p' the schedule. member: unique to the call, so that a repeated
--   one is counted once. begins: whether a read begins.
-- Returns '' if it was counted, else 'closed:' or 'read:' and the instant (ms) of the closure's end or of the read that
-- has to leave first. Emits nothing.
local reads, state = key.access(name), key.access_state(name)
if call('ZSCORE', reads, member) then return reply('') end
local closed = tonumber(call('HGET', state, 'closed') or 0)
if closed > at then return reply('closed:' .. int(closed)) end
call('ZREMRANGEBYSCORE', reads, '-inf', int(since))
if limit then
  local recent, planned = call('ZRANGE', reads, 0, -1, 'WITHSCORES'), 0
  local count = #recent / 2
  for index = 1, #recent, 2 do
    if string.sub(recent[index], 1, 1) == 'p' then planned = planned + 1 end
  end
  if asks ~= 'p' and limit > 1 and planned < limit - 1 then limit = limit - 1 end
  if count >= limit then return reply('read:' .. int(limit > 0 and tonumber(recent[2 * (count - limit) + 2]) or at)) end
end
call('ZADD', reads, int(at), member)
if begins then -- until it has ended well: a crash in the middle counts as a failure
  local failures = 'failures:' .. who
  if asks == 'p' then call('HINCRBY', state, failures, 1) else call('HSETNX', state, failures, 1) end
end
call('PEXPIRE', reads, 2 * DAY)
call('PEXPIRE', state, 7 * DAY)
return reply('')
