-- Give back runs that a worker can't finish (a deploy): they wait at the front, no attempt is counted.
-- KEYS: prelude. ARGV: pairs of id and fence.
-- Returns the ids given back. Emits nothing but what a cancelled one ends with.
local given = {}
for index = 1, #ARGV, 2 do
  local job = owned(ARGV[index], ARGV[index + 1])
  if job then
    if job.cancel == '1' then end_job(job, 'cancel', {}) else to_front(job, 'give-back') end
    given[#given + 1] = ARGV[index]
  end
end
return reply(given)
