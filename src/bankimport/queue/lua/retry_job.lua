-- Try a failed job again, as if it had just been asked for.
-- KEYS: prelude. ARGV: id.
-- Returns 'waiting', 'missing', 'duplicate:<id>' (its question is being answered by that job), or 'refused:<state>'.
-- Emits bank.job.retrying.
local job = load_job(ARGV[1])
if not job then return reply('missing') end
if not TRANSITIONS['retry'][job.state] then return reply('refused:' .. job.state) end
local twin = answering(job.question)
if twin then return reply('duplicate:' .. twin.id) end
move(job, 'retry')
call('HDEL', job.key, 'error', 'code', 'finished', 'result', 'started', 'fence', 'parent', 'total', 'ok', 'bad', 'let')
-- who retries asks for it now, and not for what would be due to the schedule
local data = string.gsub(job.data, '"scheduled":true', '"scheduled":false')
call('HSET', job.key, 'attempts', '0', 'manual', '1', 'order', int(next_order()), 'data', data)
call('PERSIST', job.key)
job = load_job(job.id)
if job.question ~= '' then call('SET', P .. 'question:' .. job.question, job.id) end
call('INCR', P .. 'pending:' .. job.org)
to_arq(job, NOW)
offer(job)
emit('bank.job.retrying', job.org, job.id, of_job(job.id, job.type) .. ',"attemptsMade":0,"retryAt":"' .. now_text() .. '"')
wake()
return reply('waiting')
