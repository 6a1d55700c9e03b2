-- What the ledger knows of a key (banking.md §5).
-- @include plain
-- KEYS: prelude. ARGV: digest of the key, instant (ms) after which reads are asked for, digest of the connection.
-- Returns {its reads as member, instant (ms), ...}, the connection's failures in a row, the end of a closure (ms).
-- Emits nothing.
local state = call('HMGET', P .. 'access-state:' .. ARGV[1], 'failures:' .. ARGV[3], 'closed')
local reads = call('ZRANGEBYSCORE', P .. 'access:' .. ARGV[1], '(' .. ARGV[2], '+inf', 'WITHSCORES')
return reply({reads, tonumber(state[1] or 0), tostring(state[2] or 0)})
