-- Let nothing start, until an instant or for good. Pausing again replaces until and reason.
-- KEYS: prelude. ARGV: until (ms, empty for none), reason (may be empty).
-- Returns 'paused'. Emits bank.queue.paused.
call('HSETNX', P .. 'pause', 'since', int(NOW))
call('HDEL', P .. 'pause', 'until', 'reason')
local fields = {}
if ARGV[1] ~= '' then
  call('HSET', P .. 'pause', 'until', ARGV[1])
  fields[1] = '"until":"' .. iso(tonumber(ARGV[1])) .. '"'
end
if ARGV[2] ~= '' then
  call('HSET', P .. 'pause', 'reason', ARGV[2])
  fields[#fields + 1] = '"reason":' .. cjson.encode(ARGV[2])
end
emit('bank.queue.paused', '', '', table.concat(fields, ','))
return reply('paused')
