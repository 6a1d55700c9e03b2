-- Create a slice of a batch's children; with the last slice the batch waits for them without a worker's slot.
-- @include leases
-- @include creating
-- children: a list of {type, org, lock, data, question}. number: of the slice, from 0. last:
--   whether it is the last one.
-- Returns 'more', 'waiting-children', 'completed' (no child is left to wait for), 'cancelled' or 'lost'. Emits
--   bank.job.queued for each child. A child's id is made of the batch's and its question, so that a run that begins
--   anew after a crash finds the children of the one before. A question that is already being answered is not asked
--   again: the batch waits for that job.
local batch = load_job(id)
if batch and has_fence(batch, fence) and (batch.state == 'waiting-children' or batch.state == 'completed') then
  return reply(batch.state)
end
if not batch or batch.state ~= 'active' or batch.fence ~= fence then return reply('lost') end
begin()
if cancelled(batch) then return reply('cancelled') end
local by, made = unpack(call('HMGET', batch.key, 'sliced-by', 'slices'))
if by ~= fence then -- a run begins, or begins anew
  call('UNLINK', key.children(id)) -- it may be large
  call('HSET', batch.key, 'sliced-by', fence, 'slices', 0, 'total', 0, 'ok', 0, 'bad', 0, 'deferred', 0)
elseif number < tonumber(made) then
  return reply('more') -- this slice is made; the answer was lost
end
call('HSET', batch.key, 'slices', number + 1)

local counts, fresh, added = {total = 0, ok = 0, bad = 0}, {}, {}
local function add_child(child, answer)
  child.id = string.sub(redis.sha1hex(id .. '/' .. batch.round .. '/' .. child.question), 1, 20)
  if added[child.id] then return end
  local before = load_job(child.id)
  local twin = answer and unfinished(answer)
  if twin then
    if batch.manual == '1' and twin.manual ~= '1' and twin.state ~= 'active' then
      call('HSET', twin.key, 'data', child.data) -- asked by a person now, in its place in line
    end
    join(batch, twin)
  elseif before and ENDED[before.state] then
    if call('SISMEMBER', key.children(id), child.id) == 1 then return end
    counts.total = counts.total + 1
    local field = before.state == 'completed' and 'ok' or 'bad'
    counts[field] = counts[field] + 1
  else
    child.manual, child.parent, child.payload = batch.manual, id, ''
    counts.total = counts.total + 1
    fresh[#fresh + 1], added[#added + 1], added[child.id] = child, child.id, true
  end
end

local known = answers_to(children)
for index, child in ipairs(children) do add_child(child, known[index]) end
create(fresh)
for at = 1, #added, 1000 do call('SADD', key.children(id), unpack(added, at, math.min(at + 999, #added))) end
for field, number in pairs(counts) do
  if number > 0 then call('HINCRBY', batch.key, field, number) end
end
if not last then return reply('more') end
call('HDEL', batch.key, 'worker')
move(batch, 'fan-out', NOW, 'progress', '{' .. batch_fields(counts_of(batch)) .. '}')
if call('EXISTS', key.children(id)) == 0 then end_batch(batch) end
return reply(batch.state)
