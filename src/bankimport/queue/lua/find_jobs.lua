-- Find jobs by an index, newest first, a part of the index at a time.
-- @include ends
-- index: the name of a sorted set, without the prefix. before: 'score:id' of the last that was seen, or empty.
-- org, state, kind, lock, code, bank: empty for any. most: matches. scan: entries looked at.
-- Returns {ids, cursor of the last entry looked at, whether there is more ('1')}. Emits nothing. The ids of records that
--   are gone leave the index.
local set = P .. index
local from = 0
if before ~= '' then
  local score, id = string.match(before, '^(%d+):(.+)$')
  local at = call('ZREVRANK', set, id)
  from = at and at + 1 or call('ZCOUNT', set, '(' .. score, '+inf')
end
local rows = call('ZREVRANGE', set, from, from + scan - 1, 'WITHSCORES')
local found, cursor, gone = {}, before, {}
local function matches(record)
  return (org == '' or record[2] == org) and (state == '' or record[1] == state) and (kind == '' or record[3] == kind)
    and (code == '' or record[4] == code) and (bank == '' or record[6] == bank)
    and (lock == '' or string.find(record[5], '"connectionId":"' .. lock .. '"', 1, true) ~= nil)
end
local more = #rows == 2 * scan
for at = 1, #rows, 2 do
  local record = call('HMGET', key.job(rows[at]), 'state', 'org', 'type', 'code', 'data', 'bank')
  cursor = int(rows[at + 1]) .. ':' .. rows[at]
  if not record[1] then
    gone[#gone + 1] = rows[at]
  elseif matches(record) then
    found[#found + 1] = rows[at]
    if #found == most then
      more = more or at + 2 <= #rows
      break
    end
  end
end
for _, id in ipairs(gone) do redis.pcall('ZREM', set, id) end
return reply({found, cursor, more and '1' or ''})
