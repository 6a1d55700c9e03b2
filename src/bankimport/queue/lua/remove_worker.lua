-- A worker stops: its heartbeat ends with it, and what was handed out too late to begin waits again.
-- @include leases
-- Returns 'ok'. Emits what a cancelled one ends with.
for _, id in ipairs(call('ZRANGE', key.state('active'), 0, -1)) do
  local job = call('HGET', key.job(id), 'worker') == worker and load_job(id)
  if job and job.state == 'active' then to_front(job, 'give-back') end
end
call('ZREM', key.workers, worker)
call('DEL', key.worker(worker))
if any_ready() then wake() end
return reply('ok')
