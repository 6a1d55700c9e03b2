-- Accept jobs: record, arq's keys, deduplication, wake-up and event of each, all or none of a job.
-- KEYS: prelude. ARGV[1] JSON array of {id, type, org, lock, data, question, manual, due, limit, arq, psu}: data the
--   command as JSON text, due in ms (0 now), limit of the organisation's unfinished jobs (0 none), arq a foreign payload
--   kept as it came, psu the person who asks (JSON text, empty for none). ARGV[2] 'adopt' for members that a stranger
--   put into arq's queue.
-- Returns for each: {'created' | 'existing' | 'limited', id}. Emits bank.job.queued.
-- Deterministic when retried: a record with the same id is this very job.
local answers, jobs = {}, cjson.decode(ARGV[1])
take_orders(#jobs)
for index, job in ipairs(jobs) do
  local twin = answering(job.question)
  if call('EXISTS', P .. 'job:' .. job.id) == 1 and is_whole(load_job(job.id)) then
    answers[index] = {'created', job.id}
  elseif twin then
    -- a person asks what a schedule has asked: their wish brings that job to the front, and is what it does from now on
    local waits = twin.state == 'waiting' or twin.state == 'delayed'
    if job.manual == '1' and waits then attend(twin, job.psu) end
    if job.manual == '1' and twin.manual ~= '1' and waits then
      write_added() -- it may have come with this very call
      unoffer(twin)
      twin.manual, twin.let, twin.data = '1', '1', job.data
      call('HSET', twin.key, 'manual', '1', 'let', '1', 'data', job.data)
      set_order(twin, next_order() - FRONT)
      move(twin, 'promote')
      to_arq(twin, NOW)
      offer(twin)
      wake()
    end
    answers[index] = {'existing', twin.id}
    if ARGV[2] == 'adopt' then call('ZREM', QUEUE, job.id) end
  elseif job.limit > 0 and tonumber(call('GET', P .. 'pending:' .. job.org) or 0) + (pending[job.org] or 0) >= job.limit then
    answers[index] = {'limited', ''}
  else
    if ARGV[2] == 'adopt' then call('ZREM', QUEUE, job.id) end -- so that it is counted among ours
    create(job, job.due)
    attend(job, job.psu)
    wake()
    answers[index] = {'created', job.id}
  end
end
return reply(answers)
