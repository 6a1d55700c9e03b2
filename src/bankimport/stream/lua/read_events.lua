-- Read an organisation's entries of both streams, or those of one of its jobs, by its index.
-- @include flat
-- org, job: job empty for all. after: an id. count: entries, about; at most 250 or so.
-- Returns {bounds of events, bounds of progress, entries (flat: id, name, jobId, data), the id up to which all was read
--   or empty, whether the index doesn't reach back to `after` ('1')}; bounds are first id or '', last id, length, and
--   entries ever added or -1.
local call = redis.call
local RANGES, MOST, INDEX_MAX = 250, 250, 10000 -- of the index and entries, so that nobody waits long for Redis

local function bounds(stream)
  local answer = redis.pcall('XINFO', 'STREAM', stream)
  if answer.err then return {'', '0-0', 0, -1} end
  local info = table_of(answer)
  local first = info['first-entry']
  return {first and first[1] or '', info['last-generated-id'], info['length'], info['entries-added'] or -1}
end

-- The last id of a range of the index.
local function last_of(range)
  local ms, seq = string.match(range[1], '^(%d+)%-(%d+)$')
  return ms .. '-' .. string.format('%.0f', seq + range[2][2])
end

local function sequence(row) return tonumber(string.match(row[1], '%-(%d+)$')) end

-- What one script told: entries of one millisecond, of both streams in one order.
local function told(from, to)
  local found = {}
  for _, stream in ipairs({key.events, key.progress}) do
    for _, entry in ipairs(call('XRANGE', stream, from, to)) do
      local fields = table_of(entry[2])
      if fields.orgId == org and (job == '' or fields.jobId == job) then
        found[#found + 1] = {entry[1], fields.name, fields.jobId, fields.data}
      end
    end
  end
  table.sort(found, function(one, other) return sequence(one) < sequence(other) end)
  return found
end

local index = key.index(org)
local oldest = call('XRANGE', index, '-', '+', 'COUNT', 1)[1]
local short = call('XLEN', index) >= INDEX_MAX and #call('XREVRANGE', index, after, '-', 'COUNT', 1) == 0
local rows, upto = {}, ''
local function take(found)
  for _, entry in ipairs(found) do
    for at = 1, 4 do rows[#rows + 1] = entry[at] end
  end
end

if oldest and not short then
  local before = call('XREVRANGE', index, after, '-', 'COUNT', 1)[1] -- it may reach beyond
  if before then take(told('(' .. after, last_of(before))) end
  local ranges = call('XRANGE', index, '(' .. after, '+', 'COUNT', RANGES)
  for at, range in ipairs(ranges) do
    take(told(range[1], last_of(range)))
    if #rows >= 4 * math.min(count, MOST) and at < #ranges or at == RANGES then
      upto = last_of(range)
      break
    end
  end
end
return {bounds(key.events), bounds(key.progress), rows, upto, short and '1' or ''}
