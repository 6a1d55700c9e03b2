-- Learn of a bank's refusal, or that a read has ended well (banking.md §5).
-- @include plain
-- KEYS: prelude. ARGV: digest of the key, then 'close' and the instant (ms) before which nothing is allowed, or
--   'success' and the digest of the connection.
-- Returns nothing. Emits nothing.
local state = P .. 'access-state:' .. ARGV[1]
if ARGV[2] == 'close' then
  -- downwards only: a later refusal never opens what an earlier one closed for longer
  local closed = math.max(tonumber(call('HGET', state, 'closed') or 0), tonumber(ARGV[3]))
  call('HSET', state, 'closed', int(closed))
  call('PEXPIRE', state, int(math.max(closed - NOW, 0) + 7 * DAY))
else
  call('HDEL', state, 'failures:' .. ARGV[3])
end
return reply('')
