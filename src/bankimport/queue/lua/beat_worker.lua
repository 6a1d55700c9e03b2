-- A worker's heartbeat: it lives, its running jobs keep their leases; stalled ones are noticed.
-- KEYS: prelude. ARGV: worker id, lease (ms), lifetime of the heartbeat (ms), host, pid, version, then pairs of id and
--   fence of its running jobs.
-- Returns {lost ids, cancelled ids}. Emits what sweeping emits.
local worker, lease = ARGV[1], tonumber(ARGV[2])
local lost, cancelled = {}, {}
for index = 7, #ARGV, 2 do
  local job = owned(ARGV[index], ARGV[index + 1])
  if not job then
    lost[#lost + 1] = ARGV[index]
  else
    call('ZADD', P .. 'leases', NOW + lease, job.id)
    call('SET', 'arq:in-progress:' .. job.id, worker, 'PX', lease)
    if job.cancel == '1' then cancelled[#cancelled + 1] = job.id end
  end
end
call('HSET', P .. 'worker:' .. worker, 'host', ARGV[4], 'pid', ARGV[5], 'version', ARGV[6], 'running',
  (#ARGV - 6) / 2 - #lost, 'seen', int(NOW))
call('PEXPIRE', P .. 'worker:' .. worker, ARGV[3])
call('ZADD', P .. 'workers', NOW + tonumber(ARGV[3]), worker)
call('ZREMRANGEBYSCORE', P .. 'workers', '-inf', NOW)
call('PEXPIRE', P .. 'workers', DAY)
sweep_stalled()
return reply({lost, cancelled})
