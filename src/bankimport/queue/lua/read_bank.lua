-- The figures of one bank over the last minutes or hours.
-- @include plain
-- bank: its name. minutes: whether they are minutes. number: how many. joined: how many of them are one step.
-- Returns {state of the bank as field, value, …; sums as field, number, …; requests and errors of each step, the oldest
--   first; the server's time (ms)}. Emits nothing.
local size = minutes and 60000 or 3600000
local name = minutes and key.bank_minute or key.bank_hour
local last = math.floor(NOW / size)
local sums, steps = {}, {}
for at = 0, number - 1 do
  local slot = call('HGETALL', name(bank, int(last - number + 1 + at)))
  local step = 2 * math.floor(at / joined) + 1
  steps[step], steps[step + 1] = steps[step] or 0, steps[step + 1] or 0
  for index = 1, #slot, 2 do
    local field, count = slot[index], tonumber(slot[index + 1])
    sums[field] = (sums[field] or 0) + count
    if string.sub(field, 1, 2) == 'r:' then
      steps[step] = steps[step] + count
      if field ~= 'r:answered' then steps[step + 1] = steps[step + 1] + count end
    end
  end
end
local flat = {}
for field, count in pairs(sums) do
  flat[#flat + 1] = field
  flat[#flat + 1] = count
end
return reply({call('HGETALL', key.bank(bank)), flat, steps, int(NOW)})
