-- A worker stops: its heartbeat ends with it.
-- KEYS: prelude. ARGV: worker id.
-- Returns 'ok'. Emits nothing.
call('ZREM', P .. 'workers', ARGV[1])
call('DEL', P .. 'worker:' .. ARGV[1], P .. 'claims:' .. ARGV[1])
if call('EXISTS', P .. 'ready:manual', P .. 'ready:orgs') > 0 then wake() end
return reply('ok')
