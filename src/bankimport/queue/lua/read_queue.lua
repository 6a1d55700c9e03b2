-- The queue's numbers, in constant time.
-- KEYS: prelude. ARGV: none.
-- Returns {counts by state (waiting, active, completed, failed, delayed, waiting-children), pause (since, until,
--   reason), waiting since (ms) of the first runnable job or '', last start (ms) or '', live workers (flat: id, host,
--   pid, running, version, seen), alerts (flat hash), now (ms), quarantined}. Emits nothing.
local counts = {}
for _, state in ipairs({'waiting', 'active', 'completed', 'failed', 'delayed', 'waiting-children'}) do
  counts[#counts + 1] = call('ZCARD', P .. 'state:' .. state)
end
local first = call('ZRANGE', P .. 'ready:manual', 0, 0)[1]
if not first then
  local org = call('ZRANGE', P .. 'ready:orgs', 0, 0)[1]
  if org then first = call('ZRANGE', P .. 'ready:org:' .. org, 0, 0)[1] end
end
local since = first and call('ZSCORE', P .. 'state:waiting', first) or ''
local workers = {}
for _, id in ipairs(call('ZRANGE', P .. 'workers', 0, 999)) do
  local beat = call('HMGET', P .. 'worker:' .. id, 'host', 'pid', 'running', 'version', 'seen')
  if beat[1] then
    workers[#workers + 1] = id
    for _, value in ipairs(beat) do workers[#workers + 1] = value end
  end
end
local pause = call('HMGET', P .. 'pause', 'since', 'until', 'reason')
for index = 1, 3 do pause[index] = pause[index] or '' end
return reply({counts, pause, since, call('HGET', P .. 'meta', 'last-start') or '', workers,
  call('HGETALL', P .. 'alerts'), int(NOW), call('LLEN', P .. 'quarantine')})
