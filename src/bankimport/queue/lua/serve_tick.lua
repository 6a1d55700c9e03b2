-- Serve one due time of a schedule once, however many workers ask, and however late.
-- KEYS: prelude. ARGV: schedule, tick (ms), 'coalesce' if a missed one is caught up, JSON of its job: {id, type, data,
--   question}.
-- Returns 'served', 'known' (served before, or a later one was), or 'first' (nothing to catch up: never served yet).
-- Emits bank.job.queued.
local schedule, tick = ARGV[1], tonumber(ARGV[2])
local last = call('HGET', P .. 'meta', 'tick:' .. schedule)
if ARGV[3] == 'coalesce' and not last then
  call('HSET', P .. 'meta', 'tick:' .. schedule, int(tick))
  return reply('first')
end
if last and tonumber(last) >= tick then return reply('known') end
call('HSET', P .. 'meta', 'tick:' .. schedule, int(tick))
local job = cjson.decode(ARGV[4])
job.org, job.lock, job.manual = '', '', '0'
create(job, tick)
wake()
return reply('served')
