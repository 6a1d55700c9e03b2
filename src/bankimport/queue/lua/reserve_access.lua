-- Count one unattended read of an account and scope, if the budget allows it now (banking.md §5).
-- @include plain
-- KEYS: prelude. ARGV: digest of the key, now (ms), limit (-1 none), window (ms).
-- Returns '' if it was counted, else the instant (ms) at which it will be allowed. Emits nothing.
local reads, state = P .. 'access:' .. ARGV[1], P .. 'access-state:' .. ARGV[1]
local now, limit, window = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local closed = tonumber(call('HGET', state, 'closed') or 0)
if closed > now then return reply(int(closed)) end
call('ZREMRANGEBYSCORE', reads, '-inf', now - window)
local count = call('ZCARD', reads)
if limit >= 0 and count >= limit then
  local first = call('ZRANGE', reads, count - limit, count - limit, 'WITHSCORES')
  return reply(int(tonumber(first[2] or now) + window))
end
call('ZADD', reads, now, int(call('HINCRBY', state, 'reads', 1)))
call('HINCRBY', state, 'failures', 1) -- until it has ended well: a crash in the middle counts as a failure
call('PEXPIRE', reads, 2 * window)
call('PEXPIRE', state, 7 * window)
return reply('')
