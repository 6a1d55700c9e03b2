-- Add what a process has seen of banks to the figures of this minute, this hour and this quarter of a day.
-- @include redis/plain
-- banks: a list of {bank, counts, answered, began, ended, row, error}. counts: numbers by field. answered: ms since it
--   last answered, -1 for not at all. began, ended: ms since the first and the last of the errors after that, -1 for
--   none; row: how many they are; error: what the last was.
-- Returns 'ok'. Emits nothing.
local HOUR = 3600000
local SLOTS = {{key.bank_minute, HOUR / 60, 2 * HOUR}, {key.bank_hour, HOUR, 2 * DAY}, {key.bank_quarter, 6 * HOUR, 8 * DAY}}
for _, seen in ipairs(banks) do
  for _, slot in ipairs(SLOTS) do
    local figures = slot[1](seen.bank, int(math.floor(NOW / slot[2])))
    for field, number in pairs(seen.counts) do call('HINCRBY', figures, field, int(number)) end
    call('PEXPIRE', figures, int(slot[3]))
  end
  local state = key.bank(seen.bank)
  local known = call('HMGET', state, 'answered', 'failing', 'row', 'error')
  local answered, failing, row = tonumber(known[1] or 0), tonumber(known[2] or 0), tonumber(known[3] or 0)
  local what = known[4] or ''
  if seen.answered >= 0 and NOW - seen.answered >= answered then
    answered = NOW - seen.answered
    if failing <= answered then failing, row, what = 0, 0, '' end
  end
  if seen.ended >= 0 and NOW - seen.ended > answered then
    local since = NOW - seen.began > answered and NOW - seen.began or NOW - seen.ended
    failing = failing == 0 and since or math.min(failing, since)
    row, what = row + seen.row, seen.error
  end
  if answered + failing > 0 then
    call('HSET', state, 'answered', int(answered), 'failing', int(failing), 'row', int(row), 'error', what)
    call('PEXPIRE', state, 8 * DAY)
  end
end
return reply('ok')
