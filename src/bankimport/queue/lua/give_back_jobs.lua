-- Give back runs that a worker can't finish (a deploy): they wait at the front, no attempt is counted.
-- @include leases
-- runs: a list of {id, fence}.
-- Returns the ids given back. Emits nothing but what a cancelled one ends with.
local given = {}
for _, run in ipairs(runs) do
  local job = owned(run[1], run[2])
  if job then
    to_front(job, 'give-back')
    given[#given + 1] = job.id
  end
end
return reply(given)
