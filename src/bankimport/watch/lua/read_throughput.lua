-- How many jobs ended in each of the last minutes and hours, of those whose records are kept.
-- @include redis/plain
-- minute, hour: when the last of each began (ms). minutes, hours: how many of each.
-- Returns how many were completed and how many failed of each, the oldest first, the minutes first. Emits nothing.
local done, failed, counts = key.state('completed'), key.state('failed'), {}
local function count(last, size, number)
  for back = number - 1, 0, -1 do
    local since, over = int(last - back * size), '(' .. int(last - (back - 1) * size)
    counts[#counts + 1] = call('ZCOUNT', done, since, over)
    counts[#counts + 1] = call('ZCOUNT', failed, since, over)
  end
end
count(minute, 60000, minutes)
count(hour, 3600000, hours)
return reply(counts)
