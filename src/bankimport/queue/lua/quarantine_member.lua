-- Take a member out of arq's queue that nobody can decode, and keep what it was for an operator.
-- KEYS: prelude. ARGV: member, reason.
-- Returns 'quarantined'. Emits nothing.
call('ZREM', QUEUE, ARGV[1])
call('DEL', 'arq:job:' .. ARGV[1], 'arq:retry:' .. ARGV[1])
call('LPUSH', P .. 'quarantine', cjson.encode({reason = ARGV[2], at = now_text(), bytes = string.len(ARGV[1])}))
call('LTRIM', P .. 'quarantine', 0, 999)
call('PEXPIRE', P .. 'quarantine', ARQ_EXPIRY)
return reply('quarantined')
