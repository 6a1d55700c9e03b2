-- What Redis answers as a flat list of fields and values, as a table.
local function table_of(flat)
  local made = {}
  for at = 1, #flat, 2 do made[flat[at]] = flat[at + 1] end
  return made
end
