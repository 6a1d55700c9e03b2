-- Let nothing start, until an instant or for good. Pausing again replaces until and reason.
-- @include moves
-- over: ms, empty for none. reason: may be empty.
-- Returns 'paused'. Emits bank.queue.paused.
begin()
call('HSETNX', key.pause, 'since', int(NOW))
call('HDEL', key.pause, 'until', 'reason')
local fields = {}
if over then
  call('HSET', key.pause, 'until', int(over))
  fields[1] = '"until":"' .. iso(over) .. '"'
end
if reason ~= '' then
  call('HSET', key.pause, 'reason', reason)
  fields[#fields + 1] = '"reason":' .. cjson.encode(reason)
end
emit('bank.queue.paused', '', '', table.concat(fields, ','))
return reply('paused')
