-- Accept jobs: record, deduplication, place in line and event of each.
-- @include batches
-- jobs: a list of {id, type, org, lock, data, question, manual} and, where they apply, {due, limit, payload, psu,
--   fixed}: data the command as JSON text, due in ms, limit of the organisation's unfinished jobs, payload what arq passes
--   to a function of the host's own, psu the person who asks (JSON text), fixed '1' where the id was chosen by the caller
--   and may exist. adopted: '1' for members of arq's queue.
-- Returns for each: {'created' | 'existing' | 'limited', id}. Emits bank.job.queued.
-- Deterministic when repeated: a record with the same id is this very job.

-- A person asks what a schedule has asked: their wish brings that job to the front, and is what it does from now on;
-- a batch that had created it merely waits for it.
local function bring_forward(twin, job)
  write_added() -- it may have come with this very call
  if twin.state == 'waiting' then leave(twin) end
  if twin.parent ~= '' then
    watch(twin, twin.parent)
    call('HDEL', twin.key, 'parent')
    call('SADD', key.pending(twin.org), twin.id)
  end
  twin.manual, twin.parent, twin.order = '1', '', int(next_serial() + FRONT)
  move(twin, 'promote', NOW, 'manual', '1', 'data', job.data, 'order', twin.order)
end

local function pending_of(org)
  local name = key.pending(org)
  return call('SCARD', name) + #(MEMBERS[name] or {})
end

local function ask(job)
  if job.fixed == '1' or IS_AGAIN then
    local before = load_job(job.id)
    if before and adopted == '1' and ENDED[before.state] then
      remove_record(before) -- a host uses an id again
    elseif before and (is_whole(before) or ENDED[before.state]) then
      return {'created', job.id}
    end
  end
  local twin = answering(job.question)
  if twin then
    local waits = twin.state == 'waiting' or twin.state == 'delayed'
    if job.manual == '1' and waits then attend(twin, job.psu) end
    if job.manual == '1' and twin.manual ~= '1' and waits then bring_forward(twin, job) end
    return {'existing', twin.id}
  end
  if job.limit and pending_of(job.org) >= job.limit then return {'limited', ''} end
  create(job, job.due)
  attend(job, job.psu)
  return {'created', job.id}
end

begin()
ask_together(jobs)
local answers = {}
for index, job in ipairs(jobs) do
  if adopted == '1' and call('ZREM', INBOX, job.id) == 0 then
    answers[index] = {'created', job.id} -- by another worker, which read the same list
  else
    answers[index] = ask(job)
    if adopted == '1' then call('DEL', 'arq:job:' .. job.id, 'arq:retry:' .. job.id) end
  end
end
return reply(answers)
