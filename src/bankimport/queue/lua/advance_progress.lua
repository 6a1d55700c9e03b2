-- Write how far a run is: the last step into the record, each step into the stream of progress.
-- KEYS: prelude. ARGV: id, fence, then one or more steps (JSON objects without their braces).
-- Returns 'ok', 'cancelled' (somebody asked for it) or 'lost'. Emits bank.job.progress for each step.
local job = owned(ARGV[1], ARGV[2])
if not job then return reply('lost') end
call('HSET', job.key, 'progress', '{' .. ARGV[#ARGV] .. '}')
for index = 3, #ARGV do emit_progress(job.org, job.id, job.type, ARGV[index]) end
return reply(job.cancel == '1' and 'cancelled' or 'ok')
