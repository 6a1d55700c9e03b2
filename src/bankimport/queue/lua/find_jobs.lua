-- Find jobs by an index, newest first, a part of the index at a time.
-- @include redis/plain
-- index: the key of a sorted set. before: 'score:id' of the last that was seen, or empty. wanted: what fields of the
-- record are. connection: the one it is about, empty for any. most: matches. scan: entries looked at.
-- Returns {ids, cursor of the last entry looked at, whether there is more ('1')}. Emits nothing. The ids of records that
--   are gone leave the index.
local from = 0
if before ~= '' then
  local score, id = string.match(before, '^(%d+):(.+)$')
  local at = call('ZREVRANK', index, id)
  from = at and at + 1 or call('ZCOUNT', index, '(' .. score, '+inf')
end
local rows = call('ZREVRANGE', index, from, from + scan - 1, 'WITHSCORES')
local found, cursor = {}, before
local names, values = {'state', 'data'}, {}
for name, value in pairs(wanted) do
  names[#names + 1] = name
  values[#names] = value
end
local function matches(record)
  for at = 3, #names do
    if record[at] ~= values[at] then return false end
  end
  return connection == '' or string.find(record[2], '"connectionId":"' .. connection .. '"', 1, true) ~= nil
end
local more = #rows == 2 * scan
for at = 1, #rows, 2 do
  local record = call('HMGET', key.job(rows[at]), unpack(names))
  cursor = int(rows[at + 1]) .. ':' .. rows[at]
  if not record[1] then
    redis.pcall('ZREM', index, rows[at])
  elseif matches(record) then
    found[#found + 1] = rows[at]
    if #found == most then
      more = more or at + 2 <= #rows
      break
    end
  end
end
return reply({found, cursor, more and '1' or ''})
