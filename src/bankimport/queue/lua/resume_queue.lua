-- Let jobs start again.
-- @include lanes
-- @include moves
-- Returns 'resumed', or 'running' if it was not paused. Emits bank.queue.resumed.
if call('EXISTS', key.pause) == 0 then return reply('running') end
begin()
call('DEL', key.pause)
emit('bank.queue.resumed', '', '', '')
wake()
return reply('resumed')
