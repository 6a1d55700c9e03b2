-- Write a stream anew without the entries of one organisation, a slice at a time; with the last slice the copy takes the
-- stream's place, its groups and what they hold with it. XDEL only marks an entry: its bytes stay in memory and on disk.
-- @include redis/plain
-- @include flat
-- stream: 'events' or 'progress'. org. after: the id up to which it was copied. removed: entries left out so far.
-- slice: entries to look at.
-- Returns {the id up to which it was copied, empty once it is done; entries left out}. Emits nothing.
local from, to = stream == 'events' and key.events or key.progress, key.copy(stream)
if call('EXISTS', from) == 0 then return reply({'', removed}) end

local entries = call('XRANGE', from, '(' .. after, '+', 'COUNT', slice)
for _, row in ipairs(entries) do
  if table_of(row[2]).orgId == org then removed = removed + 1 else call('XADD', to, row[1], unpack(row[2])) end
end
call('PEXPIRE', to, 3600000)
if #entries == slice then return reply({entries[slice][1], removed}) end

local info = table_of(call('XINFO', 'STREAM', from))
if removed == 0 or info['last-generated-id'] == '0-0' then
  call('DEL', to)
  return reply({'', 0})
end
if call('EXISTS', to) == 0 then
  call('XADD', to, info['last-generated-id'], 'name', '')
  call('XDEL', to, info['last-generated-id'])
end
local added = info['entries-added'] -- unknown before Redis 7
if added then
  added = added - removed
  call('XSETID', to, info['last-generated-id'], 'ENTRIESADDED', int(added), 'MAXDELETEDID', '0-0')
else
  call('XSETID', to, info['last-generated-id'])
end

local COUNTED = 1000 -- who is further behind may hear of a gap once too often; ten thousand held the server for 20 ms
local function copy_pending(group)
  local start = '-'
  while true do
    local rows = call('XPENDING', from, group, start, '+', 1000)
    for _, row in ipairs(rows) do
      if call('XRANGE', to, row[1], row[1])[1] then
        call('XCLAIM', to, group, row[2], 0, row[1], 'IDLE', int(row[3]), 'RETRYCOUNT', int(row[4]), 'FORCE', 'JUSTID')
      end
    end
    if #rows < 1000 then return end
    start = '(' .. rows[1000][1]
  end
end

for _, flat in ipairs(call('XINFO', 'GROUPS', from)) do
  local group = table_of(flat)
  local last = group['last-delivered-id']
  local behind = added and #call('XRANGE', to, '(' .. last, '+', 'COUNT', COUNTED) or COUNTED
  if behind < COUNTED then
    call('XGROUP', 'CREATE', to, group.name, last, 'ENTRIESREAD', int(added - behind))
  else
    call('XGROUP', 'CREATE', to, group.name, last)
  end
  copy_pending(group.name)
end
call('UNLINK', from) -- RENAME would free a million entries here and now
call('RENAME', to, from)
call('PERSIST', from)
return reply({'', removed})
