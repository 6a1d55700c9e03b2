-- Take a member out of arq's queue that nobody can decode, and keep what it was for an operator.
-- @include moves
-- Returns 'quarantined', or 'gone' where another worker has adopted or taken it. Emits nothing.
if call('ZREM', INBOX, member) == 0 then return reply('gone') end
call('DEL', 'arq:job:' .. member, 'arq:retry:' .. member)
call('LPUSH', key.quarantine, cjson.encode({reason = reason, at = now_text(), bytes = string.len(member)}))
call('LTRIM', key.quarantine, 0, 999)
call('PEXPIRE', key.quarantine, 30 * DAY)
return reply('quarantined')
