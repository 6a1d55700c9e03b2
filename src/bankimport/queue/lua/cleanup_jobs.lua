-- Remove ended jobs whose time is over, a slice at a time.
-- KEYS: prelude. ARGV: state ('completed' | 'failed'), keep (ms), slice.
-- Returns the number removed. Emits nothing.
local set, removed = P .. 'state:' .. ARGV[1], 0
for _, id in ipairs(call('ZRANGEBYSCORE', set, '-inf', NOW - tonumber(ARGV[2]), 'LIMIT', 0, ARGV[3])) do
  local org = call('HGET', P .. 'job:' .. id, 'org')
  call('ZREM', set, id)
  call('DEL', P .. 'job:' .. id)
  if org then call('ZREM', P .. 'org:' .. org, id) end
  removed = removed + 1
end
return reply(removed)
