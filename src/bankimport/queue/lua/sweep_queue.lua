-- Bring a slice of our records, our lines and arq's queue in line, after keys were removed behind our back.
-- KEYS: prelude. ARGV: 'waiting' | 'delayed' | 'active' | 'waiting-children', offset, slice; or 'recount' alone, which
--   takes all members of arq's queue for ours: after strangers were adopted and the missing put back.
-- Returns {records seen, repaired}. Emits what a batch ends with that waited for vanished children alone.
local state = ARGV[1]
if state == 'recount' then
  call('HSET', P .. 'meta', 'in-arq', call('ZCARD', QUEUE))
  return reply({0, 0})
end
local GRACE = 60000

-- Whether a waiting job stands in a line that moves: its organisation's turn comes, or the run it waits for ends.
local function is_in_line(job)
  if call('ZSCORE', P .. 'held:' .. job.lock, job.id) then return is_held(job) end
  if job.manual == '1' then return call('ZSCORE', P .. 'ready:manual', job.id) end
  if not call('ZSCORE', P .. 'ready:org:' .. job.org, job.id) then return false end
  call('ZADD', P .. 'ready:orgs', 'NX', tonumber(call('HGET', P .. 'meta', 'turn') or 0), job.org)
  return true
end

local function is_in_arq(job, due)
  if call('ZSCORE', QUEUE, job.id) then return true end
  to_arq(job, due)
  return false
end

-- For each state: put right what is wrong with a record, and return whether nothing was.
local check = {}

function check.waiting(job)
  if job.let == '0' then -- its brothers' ends let it in, by the list that names it
    if call('EXISTS', P .. 'unlet:' .. job.parent) == 1 then return true end
    let_in(job)
    wake()
    return false
  end
  local right = is_in_arq(job, NOW)
  if is_in_line(job) then return right end
  unoffer(job)
  offer(job)
  wake()
  return false
end

function check.delayed(job)
  return job.let == '0' or is_in_arq(job, tonumber(call('ZSCORE', P .. 'state:delayed', job.id)))
end

check['active'] = function(job) -- its worker's next beat renews the lease, if it has one
  return call('ZADD', P .. 'leases', 'NX', NOW + GRACE, job.id) == 0
end

check['waiting-children'] = function(batch)
  local children = P .. 'children:' .. batch.id
  if call('EXISTS', children) == 0 then
    end_batch(batch)
    return false
  end
  local right = true
  for _, id in ipairs(call('SMEMBERS', children)) do
    local child = call('HMGET', P .. 'job:' .. id, 'state', 'parent', 'watchers')
    local ended = not child[1] or child[1] == 'completed' or child[1] == 'failed'
    local knows = child[2] == batch.id or string.find(child[3] or '', batch.id, 1, true)
    if ended then
      child_ended(batch.id, {id = id, parent = batch.id, let = '1'}, child[1] == 'completed')
    elseif not knows then -- its record was lost, and it was adopted anew
      call('HSET', P .. 'job:' .. id, 'parent', batch.id, 'let', '1')
    end
    right = right and not ended and knows
  end
  return right
end

local ids = call('ZRANGE', P .. 'state:' .. state, ARGV[2], ARGV[2] + ARGV[3] - 1)
local repaired = 0
for _, id in ipairs(ids) do
  local job = load_job(id)
  if not job then
    call('ZREM', P .. 'state:' .. state, id)
    repaired = repaired + 1
  elseif not check[state](job) then
    repaired = repaired + 1
  end
end
return reply({#ids, repaired})
