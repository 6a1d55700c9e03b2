-- End a run well.
-- KEYS: prelude. ARGV: id, fence, result (JSON), fields of bank.job.completed beyond the fixed ones (JSON with a leading
--   comma, or empty), then pairs (name, fields) of further events that precede it.
-- Returns 'done', or 'lost' if the run is no longer this worker's. Emits the given events, then bank.job.completed, and
-- what ends with it. The same fence again (its reply was lost) is 'done'.
local id, fence = ARGV[1], ARGV[2]
local job = load_job(id)
if job and job.state == 'completed' and job.fence == fence then return reply('done') end
if not owned(id, fence) then return reply('lost') end
for index = 5, #ARGV, 2 do emit(ARGV[index], job.org, id, ARGV[index + 1]) end
end_job(job, 'complete', {result = ARGV[3], extra = ARGV[4]})
return reply('done')
