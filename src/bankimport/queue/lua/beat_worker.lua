-- A worker's heartbeat: it lives, its running jobs keep their leases; stalled ones are noticed.
-- @include leases
-- worker: its id. lifetime: of the heartbeat (ms). about: JSON of what it says of itself. functions: the names it knows.
-- runs: a list of {id, fence}.
-- Returns {lost ids, cancelled ids}. Emits what sweeping emits.
local lost, stopped = {}, {}
for _, run in ipairs(runs) do
  local job = owned(run[1], run[2])
  if not job then
    lost[#lost + 1] = run[1]
  else
    call('ZADD', key.state('active'), NOW + LEASE, job.id)
    if job.cancel == '1' then stopped[#stopped + 1] = job.id end
  end
end
about.seen, about.running = NOW, #runs - #lost
call('SET', key.worker(worker), cjson.encode(about), 'PX', lifetime)
if call('ZADD', key.workers, int(NOW + lifetime), worker) == 1 then call('PEXPIRE', key.workers, 30 * DAY) end
-- a beat a minute clears away those that have died; an idle worker asks little of Redis
if NOW % 60000 < LEASE / 3 then call('ZREMRANGEBYSCORE', key.workers, '-inf', NOW) end

-- A lease that ends later than any can was given before the clock was set back: its worker has another lease's time.
local far = int(NOW + 3 * LEASE)
for _, id in ipairs(call('ZRANGEBYSCORE', key.state('active'), far, '+inf', 'LIMIT', 0, 100)) do
  call('ZADD', key.state('active'), int(NOW + LEASE), id)
end
sweep_stalled()

-- What no worker knew how to do, this one may: a rolling update is over.
if call('EXISTS', key.unknown_since) == 1 then
  for _, name in ipairs(functions) do
    if call('HDEL', key.unknown_since, name) == 1 then
      for _, id in ipairs(call('ZRANGE', key.unknown(name), 0, -1)) do
        local job = load_job(id)
        if job and job.state == 'waiting' then offer(job) end
      end
      call('DEL', key.unknown(name))
    end
  end
end
for _ = 1, 5 do -- whoever cancelled a batch may have died half-way
  local batch = call('SRANDMEMBER', key.cancelling)
  if not batch then break end
  begin()
  cancel_children(batch)
end
return reply({lost, stopped})
