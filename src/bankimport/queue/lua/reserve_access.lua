-- Count one unattended request of a key, if the budget allows it now: `budget.slot` (banking.md §5).
-- @include plain
-- KEYS: prelude. ARGV: digest of the key, now (ms), limit (-1 none), instant (ms) after which reads count, digest of the
--   connection, who asks ('p' the schedule), member (unique to the call: a repeated call is counted once), '1' if a read
--   begins.
-- Returns '' if it was counted, else 'closed:' or 'read:' and the instant (ms) of the closure's end or of the read that
-- has to leave first. Emits nothing.
local reads, state = P .. 'access:' .. ARGV[1], P .. 'access-state:' .. ARGV[1]
local now, limit, since = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if call('ZSCORE', reads, ARGV[7]) then return reply('') end
local closed = tonumber(call('HGET', state, 'closed') or 0)
if closed > now then return reply('closed:' .. int(closed)) end
call('ZREMRANGEBYSCORE', reads, '-inf', since)
if limit >= 0 then
  local recent, planned = call('ZRANGE', reads, 0, -1, 'WITHSCORES'), 0
  local count = #recent / 2
  for index = 1, #recent, 2 do
    if string.sub(recent[index], 1, 1) == 'p' then planned = planned + 1 end
  end
  if ARGV[6] ~= 'p' and limit > 1 and planned < limit - 1 then limit = limit - 1 end
  if count >= limit then return reply('read:' .. int(limit > 0 and tonumber(recent[2 * (count - limit) + 2]) or now)) end
end
call('ZADD', reads, now, ARGV[7])
if ARGV[8] == '1' then -- until it has ended well: a crash in the middle counts as a failure
  local failures = 'failures:' .. ARGV[5]
  if ARGV[6] == 'p' then call('HINCRBY', state, failures, 1) else call('HSETNX', state, failures, 1) end
end
call('PEXPIRE', reads, 2 * DAY)
call('PEXPIRE', state, 7 * DAY)
return reply('')
