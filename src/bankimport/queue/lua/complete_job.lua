-- End a run well.
-- @include leases
-- @include creating
-- result: packed JSON. extra: fields of bank.job.completed beyond the fixed ones (JSON with a leading comma, or empty).
-- message: the last word of its progress. counts_as: what it is in its batch: 'ok', 'bad'
--   (not all that was asked for was done), 'deferred'. steps: of its progress that
--   were not told yet. events: a list of {name, fields} that precede the end. follow_ups: jobs as `enqueue_jobs` takes
--   them, which are created with the end.
-- Returns 'done', or 'lost' if the run is no longer this worker's. The same fence again (its reply was lost) is 'done'.
local job = load_job(id)
if job and job.state == 'completed' and has_fence(job, fence) then return 'done' end
if not job or job.state ~= 'active' or job.fence ~= fence then return 'lost' end
begin()
for _, step in ipairs(steps) do emit_progress(job, step) end
for _, event in ipairs(events) do emit(event[1], job.org, id, event[2]) end
end_job(job, 'complete', {result = result, extra = extra, success = counts_as ~= 'bad', as = counts_as,
  message = message ~= '' and message or nil})
for _, next_job in ipairs(follow_ups) do follow_up(next_job) end
return 'done'
