-- @include batches
-- A run's lease is its score among the active jobs: the instant (ms) at which it ends unless it is renewed.

-- A claim that stands behind its worker's wait for work is carried out for somebody who may be frozen, or gone: its
-- number ends in `w`. Until the worker says that it has the job, the lease is short, and its end is nobody's fault.
local UNHEARD = 5000
local function is_unheard(number) return string.sub(number, -1) == 'w' end

local function heard(number) return is_unheard(number) and string.sub(number, 1, -2) or number end

-- The job that this worker may still write to: it runs, and under this fence.
local function owned(id, fence)
  local job = load_job(id)
  if job and job.state == 'active' and job.fence == fence then return job end
  return nil
end

-- Renew the leases of the runs {id, fence} of a list; returns the ids of those that are another's, and of cancelled ones.
local function renew(runs)
  local lost, stopped = {}, {}
  for _, run in ipairs(runs) do
    local job = owned(run[1], run[2])
    if not job then
      lost[#lost + 1] = run[1]
    else
      call('ZADD', key.state('active'), NOW + LEASE, job.id)
      if is_unheard(job.call) then call('HSET', job.key, 'call', heard(job.call)) end
      if job.cancel == '1' then stopped[#stopped + 1] = job.id end
    end
  end
  return lost, stopped
end

-- End a run that is not to come back although it might: somebody has cancelled it.
local function cancelled(job)
  if job.cancel ~= '1' then return false end
  end_job(job, 'cancel', {})
  return true
end

-- A job that was running waits again, before all others; no attempt is counted.
local function to_front(job, operation)
  if cancelled(job) then return end
  job.order = int(next_serial() + FRONT)
  call('HDEL', job.key, 'worker')
  move(job, operation, NOW, 'order', job.order)
end

-- A run whose lease has ended waits again; the third time it has failed.
local function stall(id) -- @rarely
  local job = load_job(id)
  if not job or job.state ~= 'active' then
    call('ZREM', key.state('active'), id)
  elseif is_unheard(job.call) then
    to_front(job, 'give-back')
  else
    begin()
    job.stalls = int(call('HINCRBY', job.key, 'stalls', 1))
    emit_of(job, 'bank.job.stalled', '"stalls":' .. job.stalls)
    if tonumber(job.stalls) >= 3 and job.cancel ~= '1' then
      end_job(job, 'fail', {error = 'job stalled more than allowable limit', code = 'stalled'})
    else
      to_front(job, 'stall')
    end
  end
end

local function sweep_stalled()
  for _, id in ipairs(call('ZRANGEBYSCORE', key.state('active'), '-inf', NOW, 'LIMIT', 0, 50)) do stall(id) end
end

-- A delayed job whose time has come waits in its old order.
local function promote(id) -- @rarely
  local job = load_job(id)
  if job and job.state == 'delayed' then
    move(job, 'promote', NOW)
  else
    call('ZREM', key.state('delayed'), id)
  end
end

local function promote_due()
  for _, id in ipairs(call('ZRANGEBYSCORE', key.state('delayed'), '-inf', NOW, 'LIMIT', 0, 100)) do promote(id) end
end
