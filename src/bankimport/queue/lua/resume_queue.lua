-- Let jobs start again.
-- KEYS: prelude. ARGV: none.
-- Returns 'resumed', or 'running' if it was not paused. Emits bank.queue.resumed.
if call('DEL', P .. 'pause') == 0 then return reply('running') end
emit('bank.queue.resumed', '', '', '')
wake()
return reply('resumed')
