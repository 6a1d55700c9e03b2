-- Create a batch's children and let the batch wait for them without a worker's slot.
-- KEYS: prelude. ARGV: id, fence, JSON array of {id, type, org, lock, data, question}.
-- Returns 'waiting-children', 'completed' (no children), 'cancelled' or 'lost'. Emits bank.job.queued for each
--   child, or what a cancelled batch ends with.
-- A child whose question is already being answered is not asked again: the batch waits for that job.
local batch = load_job(ARGV[1])
if batch and batch.fence == ARGV[2] and (batch.state == 'waiting-children' or batch.state == 'completed') then
  return reply(batch.state)
end
if not owned(ARGV[1], ARGV[2]) then return reply('lost') end
if batch.cancel == '1' then
  end_job(batch, 'cancel', {})
  return reply('cancelled')
end
local children = cjson.decode(ARGV[3])
local let = 0
take_orders(#children)
move(batch, 'fan-out')
release(batch)
from_arq(batch.id)
call('HDEL', batch.key, 'worker')
for _, job in ipairs(children) do
  local twin = answering(job.question)
  if twin then
    if batch.manual == '1' and twin.manual ~= '1' and twin.state ~= 'active' then
      call('HSET', twin.key, 'data', job.data) -- asked by a person now, in its place in line
    end
    if call('SADD', P .. 'children:' .. batch.id, twin.id) == 1 then -- 0: this batch asks it twice
      call('HSET', twin.key, 'watchers', twin.watchers == '' and batch.id or twin.watchers .. ',' .. batch.id)
    end
  else
    job.manual, job.parent, job.let = batch.manual, batch.id, let < LET_IN and '1' or '0'
    create(job, 0)
    call('SADD', P .. 'children:' .. batch.id, job.id)
    if job.let == '1' then
      let = let + 1
    else
      call('RPUSH', P .. 'unlet:' .. batch.id, job.id)
    end
  end
end
batch.total, batch.ok, batch.bad = call('SCARD', P .. 'children:' .. batch.id), 0, 0
call('HSET', batch.key, 'total', batch.total, 'ok', 0, 'bad', 0, 'progress', '{' .. batch_fields(batch) .. '}')
if batch.total == 0 then
  end_batch(batch)
else
  wake()
end
return reply(batch.state)
