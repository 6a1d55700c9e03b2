-- How many jobs have failed of each error at each bank, and when.
-- @include redis/plain
-- most: of kinds, those that failed last.
-- Returns a list of {code and bank with a colon between, all that are kept, in the last hour, in the one before it, in
--   the last day, in the one before it, in the last week, in the one before it, a list of each of the last 24 hours, the
--   oldest first}. Emits nothing.
local HOUR = 3600000
local found = {}
for _, kind in ipairs(call('ZREVRANGE', key.failed_kinds, 0, most - 1)) do
  local code, bank = string.match(kind, '^([^:]*):(.*)$')
  local set = key.failed_kind(code, bank)
  local function between(longest, shortest)
    return call('ZCOUNT', set, '(' .. int(NOW - longest), shortest == 0 and '+inf' or int(NOW - shortest))
  end
  local all = call('ZCARD', set)
  if all > 0 then
    local row, hours = {kind, all}, {}
    for _, span in ipairs({HOUR, DAY, 7 * DAY}) do
      row[#row + 1] = between(span, 0)
      row[#row + 1] = between(2 * span, span)
    end
    for back = 24, 1, -1 do hours[#hours + 1] = row[5] == 0 and 0 or between(back * HOUR, (back - 1) * HOUR) end
    row[#row + 1] = hours
    found[#found + 1] = row
  end
end
return reply(found)
