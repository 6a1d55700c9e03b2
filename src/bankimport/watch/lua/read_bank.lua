-- The figures of one bank over the last minutes, hours or quarters of days.
-- @include redis/plain
-- bank: its name. size: how long one of them is (ms). number: how many.
-- Returns {state of the bank as field, value, …; sums as field, number, …; requests and errors of each, the oldest
--   first; the server's time (ms)}. Emits nothing.
local name = ({[60000] = key.bank_minute, [3600000] = key.bank_hour, [21600000] = key.bank_quarter})[size]
local last = math.floor(NOW / size)
local sums, steps = {}, {}
for at = last - number + 1, last do
  local slot = call('HGETALL', name(bank, int(at)))
  local all, errors = 0, 0
  for index = 1, #slot, 2 do
    local field, count = slot[index], tonumber(slot[index + 1])
    sums[field] = (sums[field] or 0) + count
    if string.sub(field, 1, 2) == 'r:' then
      all = all + count
      if field ~= 'r:answered' then errors = errors + count end
    end
  end
  steps[#steps + 1] = all
  steps[#steps + 1] = errors
end
local flat = {}
for field, count in pairs(sums) do
  flat[#flat + 1] = field
  flat[#flat + 1] = count
end
return reply({call('HGETALL', key.bank(bank)), flat, steps, int(NOW)})
