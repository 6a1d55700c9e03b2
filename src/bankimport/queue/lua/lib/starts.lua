-- @include leases
-- Starting jobs for a worker: `worker`, `number`, `busy` and `functions` are the claim's arguments.
local known = {}
for _, name in ipairs(functions) do known[name] = true end

local claims, counted = {}, {} -- what the worker is told, and what the limiter counts
local function describe(job)
  claims[#claims + 1] = {job.id, job.type, job.org, job.data, job.payload, job.attempts, job.fence, job.queued,
    job.psu ~= '' and call('GET', key.psu(job.id)) or '', job.stalls}
end

-- Whether nothing may start; a pause whose time is over ends here.
local function paused()
  local pause = call('HMGET', key.pause, 'since', 'until')
  if not pause[1] then return false end
  if not pause[2] or tonumber(pause[2]) > NOW then return true, tonumber(pause[2] or nil) end
  begin()
  call('DEL', key.pause)
  emit('bank.queue.resumed', '', '', '')
  return false
end

-- Whether a job's connection is its own now; else it stands aside until that run ends.
local function takes_lock(job)
  if job.lock == '' or call('SET', key.lock(job.lock), job.id, 'NX') then return true end
  local holder = holder_of(job.lock)
  if holder and holder ~= job.id then
    call('ZADD', key.held(job.lock), job.order, job.id)
    return false
  end
  call('SET', key.lock(job.lock), job.id)
  return true
end

local function stop_child(job) -- @rarely
  end_job(job, 'cancel', {})
end

-- Start a job that has left its line.
local function start(job)
  if job.parent ~= '' and call('SISMEMBER', key.cancelling, job.parent) == 1 then
    stop_child(job)
  elseif not known[job.type] then
    call('ZADD', key.unknown(job.type), job.order, job.id)
    call('HSETNX', key.unknown_since, job.type, int(NOW))
  elseif takes_lock(job) then
    if is_limited(job) then call('SADD', key.running(job.org), job.id) end
    job.fence, job.worker = int(next_serial()), worker
    move(job, 'start', NOW + (is_unheard(number) and math.min(LEASE, UNHEARD) or LEASE), 'fence', job.fence, 'worker', worker, 'started', NOW,
      'call', number)
    counted[#counted + 1], counted[#counted + 2] = NOW, job.fence
    emit_of(job, 'bank.job.started')
    describe(job)
  end
end

-- Let the first job of the organisation whose turn it is leave a lane's line, and start it; false if there is none.
local function start_next(lane)
  local org = call('ZPOPMIN', key.ring(lane))[1]
  if not org then return false end
  local line = key.line(lane, org)
  local id = call('ZPOPMIN', line)[1]
  local job = id and load_job(id)
  if job and job.state == 'waiting' and is_limited(job) and is_full(org) then
    call('ZADD', line, job.order, id) -- the organisation comes back as one of its runs ends
    return true
  end
  if id and call('EXISTS', line) == 1 then call('ZADD', key.ring(lane), int(next_serial()), org) end
  if job and job.state == 'waiting' then start(job) end
  return true
end

-- A job that was running twice as its worker died is started alone, so that only the guilty one fails. A worker that
-- is busy makes itself free for it, one worker at a time.
local function start_suspect() -- @rarely
  if not call('SET', key.quiet, worker, 'NX', 'PX', 2 * LEASE) and call('GET', key.quiet) ~= worker then return false end
  call('PEXPIRE', key.quiet, 2 * LEASE)
  if busy == 0 then
    call('DEL', key.quiet)
    local id = call('ZPOPMIN', key.suspects)[1]
    local job = id and load_job(id)
    if job and job.state == 'waiting' then start(job) end
  end
  return true
end
