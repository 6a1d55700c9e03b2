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
local beat = {ARGV[4], ARGV[5], int((#ARGV - 6) / 2 - #lost), ARGV[6], int(NOW)}
call('SET', P .. 'worker:' .. worker, cjson.encode(beat), 'PX', ARGV[3])
if call('ZADD', P .. 'workers', NOW + tonumber(ARGV[3]), worker) == 1 then call('PEXPIRE', P .. 'workers', 30 * DAY) end
-- a beat a minute clears away those that have died; an idle worker asks little of Redis
if NOW % 60000 < lease / 3 then call('ZREMRANGEBYSCORE', P .. 'workers', '-inf', NOW) end
sweep_stalled()
return reply({lost, cancelled})
