-- Bring a slice of our records and arq's queue in line, after keys were removed behind our back.
-- KEYS: prelude. ARGV: 'waiting' | 'delayed', offset, slice; or 'recount' alone, which takes all members of arq's queue
--   for ours: after strangers were adopted and the missing put back.
-- Returns {records seen, repaired}. Emits nothing.
local state = ARGV[1]
if state == 'recount' then
  call('HSET', P .. 'meta', 'in-arq', call('ZCARD', QUEUE))
  return reply({0, 0})
end
local ids = call('ZRANGE', P .. 'state:' .. state, ARGV[2], ARGV[2] + ARGV[3] - 1)
local repaired = 0
for _, id in ipairs(ids) do
  local job = load_job(id)
  if not job then
    call('ZREM', P .. 'state:' .. state, id)
    repaired = repaired + 1
  elseif job.let ~= '0' and not call('ZSCORE', QUEUE, id) then
    to_arq(job, state == 'delayed' and tonumber(call('ZSCORE', P .. 'state:delayed', id)) or NOW)
    repaired = repaired + 1
  end
end
return reply({#ids, repaired})
