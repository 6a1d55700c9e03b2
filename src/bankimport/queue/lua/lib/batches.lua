-- @include ends
-- A batch and what it waits for. `children:<batch>` holds the jobs that it waits for; a job that a batch created names
-- it as its parent; the batches that merely wait for it stand in `watchers:<job>`.
local function counts_of(batch)
  local values = call('HMGET', batch.key, 'total', 'ok', 'bad', 'deferred')
  local counts = {}
  for index, name in ipairs({'total', 'ok', 'bad', 'deferred'}) do counts[name] = tonumber(values[index] or 0) end
  return counts
end

local function batch_fields(counts)
  local done = counts.ok + counts.bad + counts.deferred
  local percent = counts.total == 0 and 100 or math.min(100, math.floor(done * 100 / counts.total))
  return '"stage":"syncing_accounts","message":"' .. done .. ' of ' .. counts.total
    .. ' connections done","percent":' .. percent
end

local function end_batch(batch)
  local counts = counts_of(batch)
  call('DEL', key.children(batch.id))
  local fields = '"totalConnections":' .. counts.total .. ',"successfulSyncs":' .. counts.ok .. ',"failedSyncs":'
    .. counts.bad .. ',"deferredSyncs":' .. counts.deferred
  emit('bank.batch.completed', batch.org, batch.id, '"orgId":"' .. batch.org .. '",' .. fields)
  end_job(batch, 'complete', {result = '{' .. fields .. '}', extra = ',"connectionsSynced":' .. counts.ok})
end

-- A batch waits no longer for a job, which has ended `as` 'ok', 'bad' or 'deferred'; counted once.
local function settle(batch_id, id, as) -- @rarely
  if call('SREM', key.children(batch_id), id) == 0 then return end
  local batch = load_job(batch_id)
  if not batch or (batch.state ~= 'waiting-children' and batch.state ~= 'active') then return end
  call('HINCRBY', batch.key, as, 1)
  if batch.state == 'active' then return end -- it is still making its children
  local fields = batch_fields(counts_of(batch))
  call('HSET', batch.key, 'progress', '{' .. fields .. '}')
  if NOW - tonumber(call('HGET', batch.key, 'told') or 0) >= 250 then -- as for a run: at most four times a second
    call('HSET', batch.key, 'told', int(NOW))
    emit_progress(batch, fields)
  end
  if call('EXISTS', key.children(batch_id)) == 0 then end_batch(batch) end
end

local function tell_watchers(job, as) -- @rarely
  for _, batch_id in ipairs(call('SMEMBERS', key.watchers(job.id))) do settle(batch_id, job.id, as) end
  call('DEL', key.watchers(job.id))
end

tell_batches = function(job, as)
  if job.parent ~= '' then settle(job.parent, job.id, as) end
  if job.watched == '1' then tell_watchers(job, as) end
end

-- A job that comes back long after counts as deferred, so that no batch outlives its own runs; a short wait before a
-- retry is a part of them.
local PATIENCE = 60000
local function tell_delayed(job, delay)
  if job.parent ~= '' and delay > PATIENCE then settle(job.parent, job.id, 'deferred') end
  if job.watched == '1' then tell_watchers(job, 'deferred') end
end

local function watch(job, batch_id)
  call('SADD', key.watchers(job.id), batch_id)
  call('HSET', job.key, 'watched', '1')
end

-- Wait for a job that somebody else asked for, while it waits or runs; one that is put off counts as deferred.
local function join(batch, job)
  if call('SISMEMBER', key.children(batch.id), job.id) == 1 then return end -- asked twice
  call('HINCRBY', batch.key, 'total', 1)
  if job.state == 'waiting' or job.state == 'active' then
    call('SADD', key.children(batch.id), job.id)
    if job.parent ~= batch.id then watch(job, batch.id) end
  else
    call('HINCRBY', batch.key, 'deferred', 1)
  end
end

-- A batch that is cancelled ends at once; its children that have not started end a slice at a time, by whoever comes:
-- who cancelled, the next beat of a worker, or a claim that meets one of them.
local SLICE = 50
local function cancel_children(batch_id)
  local ids = call('SPOP', key.children(batch_id), SLICE)
  for _, id in ipairs(ids) do
    local child = load_job(id)
    if child and child.parent == batch_id and (child.state == 'waiting' or child.state == 'delayed') then
      end_job(child, 'cancel', {})
    end
  end
  if #ids == SLICE then return true end
  call('SREM', key.cancelling, batch_id)
  return false
end

local function cancel_batch(batch)
  end_job(batch, 'cancel', {})
  call('SADD', key.cancelling, batch.id)
  call('PEXPIRE', key.children(batch.id), DAY)
  call('PEXPIRE', key.cancelling, DAY)
end
