-- Serve one due time of a schedule once, however many workers ask, and however late.
-- @include creating
-- tick: ms. missed: whether it is caught up. job: {id, type, data, question}.
-- Returns 'served', 'known' (served before, or a later one was), 'first' (nothing to catch up: it was due before any
--   worker ran), or 'early' (by the server's clock it isn't due: the worker's is ahead). Emits bank.job.queued.
if tick > NOW + 60000 then return reply('early') end
local served = call('HMGET', key.meta, 'tick:' .. schedule, 'born')
if served[1] and tonumber(served[1]) >= tick then return reply('known') end
begin()
if not served[2] then call('HSET', key.meta, 'born', int(NOW)) end
if missed and not served[1] and tick <= tonumber(served[2] or NOW) then return reply('first') end
call('HSET', key.meta, 'tick:' .. schedule, int(tick))
job.org, job.lock, job.manual, job.payload, job.due = '', '', '0', '', tick
create({job})
wake()
return reply('served')
