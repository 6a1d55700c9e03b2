-- Learn of a bank's refusal, or of how a read ended (banking.md §5).
-- KEYS: prelude. ARGV: digest of the key, 'close' and the instant (ms) before which nothing is allowed; or 'success' or
--   'failure' and a lifetime (ms).
-- Returns the number of failures in a row. Emits nothing.
local state = P .. 'access-state:' .. ARGV[1]
if ARGV[2] == 'close' then
  -- downwards only: a later refusal never opens what an earlier one closed for longer
  local closed = math.max(tonumber(call('HGET', state, 'closed') or 0), tonumber(ARGV[3]))
  call('HSET', state, 'closed', int(closed))
  call('PEXPIRE', state, int(math.max(closed - NOW, 0) + 2 * DAY))
elseif ARGV[2] == 'success' then
  call('HDEL', state, 'failures')
else
  call('HINCRBY', state, 'failures', 1)
  call('PEXPIRE', state, int(math.max(tonumber(ARGV[3]), 2 * DAY)))
end
return reply(tonumber(call('HGET', state, 'failures') or 0))
