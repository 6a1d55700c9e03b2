-- @include batches
-- A run's lease is its score among the active jobs: the instant (ms) at which it ends unless it is renewed.

-- The job that this worker may still write to: it runs, and under this fence.
local function owned(id, fence)
  local job = load_job(id)
  if job and job.state == 'active' and job.fence == fence then return job end
  return nil
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

-- Runs whose lease has ended: they wait again; the third time they have failed.
local function sweep_stalled()
  for _, id in ipairs(call('ZRANGEBYSCORE', key.state('active'), '-inf', NOW, 'LIMIT', 0, 50)) do
    local job = load_job(id)
    if not job or job.state ~= 'active' then
      call('ZREM', key.state('active'), id)
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
end

-- Delayed jobs whose time has come wait in their old order.
local function promote_due()
  for _, id in ipairs(call('ZRANGEBYSCORE', key.state('delayed'), '-inf', NOW, 'LIMIT', 0, 100)) do
    local job = load_job(id)
    if job and job.state == 'delayed' then
      move(job, 'promote', NOW)
    else
      call('ZREM', key.state('delayed'), id)
    end
  end
end
