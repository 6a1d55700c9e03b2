-- Learn of a bank's refusal, or that a read has ended well (banking.md §5).
-- @include redis/plain
-- name: digest of the key. refused: the instant (ms) before which nothing is allowed, empty for a read that ended well.
-- who: digest of the connection that read.
-- Returns nothing. Emits nothing.
local state = key.access_state(name)
if refused then
  -- downwards only: a later refusal never opens what an earlier one closed for longer
  local closed = math.max(tonumber(call('HGET', state, 'closed') or 0), refused)
  call('HSET', state, 'closed', int(closed))
  call('PEXPIRE', state, int(math.max(closed - NOW, 0) + 7 * DAY))
else
  call('HDEL', state, 'failures:' .. who)
end
return reply('')
