-- Bring a slice of our records and our lines in line, after keys were removed behind our back.
-- @include queue/batches
-- state: 'waiting', 'delayed', 'active' or 'waiting-children'. offset, slice: of its set.
-- Returns {records seen, repaired}. Emits what a batch ends with that waited for vanished children alone.
local CHILDREN = 50

-- Whether a waiting job stands in a line that moves: its organisation's turn comes, or the run it waits for ends.
local function is_in_line(job)
  if job.lock ~= '' and call('ZSCORE', key.held(job.lock), job.id) then return holder_of(job.lock) end
  if call('ZSCORE', key.suspects, job.id) or call('ZSCORE', key.unknown(job.type), job.id) then return true end
  local lane = lane_of(job)
  if not call('ZSCORE', key.line(lane, job.org), job.id) then return false end
  if is_limited(job) and is_full(job.org) then return true end -- the organisation comes back as one of its runs ends
  return call('ZSCORE', key.ring(lane), job.org)
end

-- For each state: put right what is wrong with a record, and return whether nothing was.
local check = {}
function check.waiting(job)
  if is_in_line(job) then return true end
  leave(job)
  offer(job)
  return false
end

check['waiting-children'] = function(batch)
  local right = true
  local found = call('SSCAN', key.children(batch.id), call('HGET', batch.key, 'scan') or 0, 'COUNT', CHILDREN)
  call('HSET', batch.key, 'scan', found[1])
  for _, id in ipairs(found[2]) do
    local child = load_job(id)
    if not child or ENDED[child.state] then
      settle(batch.id, id, child and child.state == 'completed' and 'ok' or 'bad')
      right = false
    end
  end
  if right and batch.state == 'waiting-children' and call('EXISTS', key.children(batch.id)) == 0 then
    end_batch(batch)
    return false
  end
  return right
end

local repaired = 0
local ids = call('ZRANGE', key.state(state), offset, offset + slice - 1)
for _, id in ipairs(ids) do
  local job = load_job(id)
  if not job or job.state ~= state then
    call('ZREM', key.state(state), id)
    repaired = repaired + 1
  elseif check[state] and not check[state](job) then
    repaired = repaired + 1
  end
end
return reply({#ids, repaired})
