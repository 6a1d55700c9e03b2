-- A worker stops: its heartbeat ends with it, and what its last claim handed out too late to begin waits again.
-- KEYS: prelude. ARGV: worker id.
-- Returns 'ok'. Emits what a cancelled one ends with.
for id in string.gmatch(call('HGET', P .. 'claims:' .. ARGV[1], 'ids') or '', '[^,]+') do
  local job = load_job(id)
  if job and job.state == 'active' and job.worker == ARGV[1] then
    if job.cancel == '1' then end_job(job, 'cancel', {}) else to_front(job, 'give-back') end
  end
end
call('ZREM', P .. 'workers', ARGV[1])
call('DEL', P .. 'worker:' .. ARGV[1], P .. 'claims:' .. ARGV[1])
if call('EXISTS', P .. 'ready:manual', P .. 'ready:orgs') > 0 then wake() end
return reply('ok')
