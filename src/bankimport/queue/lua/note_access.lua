-- Learn of a bank's refusal, or of how a read ended (banking.md §5).
-- @include plain
-- KEYS: prelude. ARGV: digest of the key, then 'close' and the instant (ms) before which nothing is allowed, or
--   'success', or 'failure' (the reservation has counted it already), or 'read'.
-- Returns the number of failures in a row. Emits nothing.
local state = P .. 'access-state:' .. ARGV[1]
if ARGV[2] == 'close' then
  -- downwards only: a later refusal never opens what an earlier one closed for longer
  local closed = math.max(tonumber(call('HGET', state, 'closed') or 0), tonumber(ARGV[3]))
  call('HSET', state, 'closed', int(closed))
  call('PEXPIRE', state, int(math.max(closed - NOW, 0) + 7 * DAY))
elseif ARGV[2] == 'success' then
  call('HDEL', state, 'failures')
end
return reply(tonumber(call('HGET', state, 'failures') or 0))
