-- The queue's numbers, in constant time.
-- KEYS: prelude. ARGV: an organisation's places.
-- Returns {counts by state (waiting, active, completed, failed, delayed, waiting-children), pause (since, until,
--   reason), waiting since (ms) of the oldest runnable job or '', last start (ms) or '', live workers (flat: id, host,
--   pid, running, version, seen), alerts (flat hash), now (ms), quarantined}. Emits nothing.
local counts = {}
for _, state in ipairs({'waiting', 'active', 'completed', 'failed', 'delayed', 'waiting-children'}) do
  counts[#counts + 1] = call('ZCARD', P .. 'state:' .. state)
end

-- Since when the oldest job that could run has waited: of the manual ones those brought to the front and those behind
-- them, the first organisations in turn that have a place free, and what only a living worker would make wait: a
-- delayed job whose time has come, a run whose lease is over.
local since
local function note(at)
  at = tonumber(at)
  if at and (not since or at < since) then since = at end
end
local function note_first(ids) if ids[1] then note(call('ZSCORE', P .. 'state:waiting', ids[1])) end end
note_first(call('ZRANGE', P .. 'ready:manual', 0, 0))
note_first(call('ZRANGEBYSCORE', P .. 'ready:manual', 0, '+inf', 'LIMIT', 0, 1))
for _, org in ipairs(call('ZRANGE', P .. 'ready:orgs', 0, 9)) do
  if call('SCARD', P .. 'running:' .. org) < tonumber(ARGV[1]) then
    note_first(call('ZRANGE', P .. 'ready:org:' .. org, 0, 0))
  end
end
for _, set in ipairs({'state:delayed', 'leases'}) do
  note(call('ZRANGEBYSCORE', P .. set, '-inf', NOW, 'WITHSCORES', 'LIMIT', 0, 1)[2])
end

local workers = {}
for _, id in ipairs(call('ZRANGE', P .. 'workers', 0, 999)) do
  local beat = call('GET', P .. 'worker:' .. id)
  if beat then
    workers[#workers + 1] = id
    for _, value in ipairs(cjson.decode(beat)) do workers[#workers + 1] = value end
  end
end
local pause = call('HMGET', P .. 'pause', 'since', 'until', 'reason')
for index = 1, 3 do pause[index] = pause[index] or '' end
return reply({counts, pause, since and int(since) or '', call('HGET', P .. 'meta', 'last-start') or '', workers,
  call('HGETALL', P .. 'alerts'), int(NOW), call('LLEN', P .. 'quarantine')})
