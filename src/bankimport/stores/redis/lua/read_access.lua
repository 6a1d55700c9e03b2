-- What the ledger knows of a key (banking.md §5).
-- @include redis/plain
-- name: digest of the key. since: the instant (ms) after which reads are asked for. who: digest of the connection.
-- Returns {its reads as member, instant (ms), ...}, the connection's failures in a row, the end of a closure (ms).
-- Emits nothing.
local state = call('HMGET', key.access_state(name), 'failures:' .. who, 'closed')
local reads = call('ZRANGEBYSCORE', key.access(name), '(' .. int(since), '+inf', 'WITHSCORES')
return reply({reads, tonumber(state[1] or 0), tostring(state[2] or 0)})
