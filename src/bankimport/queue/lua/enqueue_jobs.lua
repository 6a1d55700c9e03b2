-- Accept jobs: record, deduplication, place in line and event of each.
-- @include batches
-- @include creating
-- jobs: a list of {id, type, org, lock, data, question, manual} and, where they apply, {due, limit, payload, psu,
--   fixed}: data the command as JSON text, due in ms, limit of the organisation's unfinished jobs, payload what arq passes
--   to a function of the host's own, psu the person who asks (JSON text), fixed '1' where the id was chosen by the caller
--   and may exist. adopted: '1' for members of arq's queue.
-- Returns for each: {'created' | 'existing' | 'limited', id}. Emits bank.job.queued.
-- Deterministic when repeated: a record with the same id is this very job.

-- The person who asks waits beside the job, for a quarter of an hour at most.
local function attend(id, person) -- @rarely
  call('SET', key.psu(id), person, 'PX', 900000)
  call('HSET', key.job(id), 'psu', '1')
end

-- A person asks what a schedule has asked: their wish brings that job to the front, and is what it does from now on;
-- a batch that had created it merely waits for it.
local function bring_forward(twin, job) -- @rarely
  if twin.state == 'waiting' then leave(twin) end
  if twin.parent ~= '' then
    watch(twin, twin.parent)
    call('HDEL', twin.key, 'parent')
    call('SADD', key.pending(twin.org), twin.id)
  end
  twin.manual, twin.parent, twin.order = '1', '', int(next_serial() + FRONT)
  move(twin, 'promote', NOW, 'manual', '1', 'data', job.data, 'order', twin.order)
end

-- Whether a job of this id was taken in before; a host may use one again once it has ended.
local function is_taken_in(job) -- @rarely
  local before = load_job(job.id)
  if before and adopted == '1' and ENDED[before.state] then
    remove_record(before)
    return false
  end
  return before and (is_whole(before) or ENDED[before.state])
end

-- Whether a job answers this one's question; it hears of a person's wish as long as it waits.
local function joins(id, job) -- @rarely
  local twin = unfinished(id)
  if twin and job.manual == '1' and (twin.state == 'waiting' or twin.state == 'delayed') then
    if job.psu then attend(id, job.psu) end
    if twin.manual ~= '1' then bring_forward(twin, job) end
  end
  return twin ~= nil
end

-- The jobs that this call makes, a list in which their ids are marked too; by question; and their number by organisation.
local made, asked, wishes = {}, {}, {}

-- Likewise of a job that this very call makes: a schedule's becomes the person's.
local function joins_new(twin, job) -- @rarely
  if job.manual ~= '1' then return end
  twin.psu = job.psu or twin.psu
  if twin.manual ~= '1' then twin.manual, twin.data, twin.due, twin.front = '1', job.data, nil, true end
end

local function ask(job, answer)
  if (job.fixed == '1' or IS_AGAIN) and (made[job.id] or is_taken_in(job)) then return {'created', job.id} end
  local twin = asked[job.question]
  if twin then
    joins_new(twin, job)
    return {'existing', twin.id}
  end
  if answer and joins(answer, job) then return {'existing', answer} end
  local number = (wishes[job.org] or 0) + 1
  if job.limit and call('SCARD', key.pending(job.org)) + number > job.limit then return {'limited', ''} end
  wishes[job.org] = number
  made[#made + 1], made[job.id] = job, true
  if job.question ~= '' then asked[job.question] = job end
  return {'created', job.id}
end

begin()
local known, answers = answers_to(jobs), {}
for index, job in ipairs(jobs) do
  if adopted == '1' and call('ZREM', INBOX, job.id) == 0 then
    answers[index] = {'created', job.id} -- by another worker, which read the same list
  else
    answers[index] = ask(job, known[index])
    if adopted == '1' then call('DEL', 'arq:job:' .. job.id, 'arq:retry:' .. job.id) end
  end
end
create(made)
for _, job in ipairs(made) do
  if job.psu then attend(job.id, job.psu) end
end
return reply(answers)
