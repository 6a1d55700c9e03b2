-- Write how far a run is: the last step into the record, each step into the stream of progress.
-- KEYS: prelude. ARGV: id, fence, then one or more steps (JSON objects without their braces).
-- Returns 'ok', 'cancelled' (somebody asked for it) or 'lost'. Emits bank.job.progress for each step.
local key = P .. 'job:' .. ARGV[1]
local job = call('HMGET', key, 'state', 'fence', 'org', 'type', 'cancel')
if job[1] ~= 'active' or job[2] ~= ARGV[2] then return reply('lost') end
call('HSET', key, 'progress', '{' .. ARGV[#ARGV] .. '}')
for index = 3, #ARGV do emit_progress(job[3], ARGV[1], job[4], ARGV[index]) end
return reply(job[5] == '1' and 'cancelled' or 'ok')
