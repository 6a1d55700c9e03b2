-- The queue's numbers, in constant time, and whether the server takes writes.
-- @include redis/clock
-- excused: the codes of failures that no operator can mend.
-- Returns {counts by state (waiting, active, completed, failed, delayed, waiting-children, cancelled), pause (since,
--   until, reason), waiting since (ms) of the oldest runnable job or '', last start (ms) or '', heartbeats of the live
--   workers (flat: id, JSON), alerts (flat hash), now (ms), quarantined, functions that no worker knows (flat: name,
--   since), why a write is refused or '', how many failed in the last 24 h, and how many of them
--   with an excused code}. Emits nothing.
local counts = {}
for _, state in ipairs({'waiting', 'active', 'completed', 'failed', 'delayed', 'waiting-children', 'cancelled'}) do
  counts[#counts + 1] = call('ZCARD', key.state(state))
end

-- Since when the oldest job that could run has waited: the first of the first organisations in turn that have a place
-- free, what was brought to the front and what stands behind it, and what only a living worker would make wait: a
-- delayed job whose time has come, a run whose lease is over.
local since
local function note(at)
  at = tonumber(at)
  if at and (not since or at < since) then since = at end
end
local function note_first(ids)
  local lock = ids[1] and call('HGET', key.job(ids[1]), 'lock')
  if not ids[1] or lock and call('EXISTS', key.lock(lock)) == 1 then return end -- it waits rightly for its connection
  note(call('ZSCORE', key.state('waiting'), ids[1]))
end
for _, lane in ipairs({'manual', 'scheduled'}) do
  for _, org in ipairs(call('ZRANGE', key.ring(lane), 0, 9)) do
    if lane == 'manual' or call('SCARD', key.running(org)) < PLACES then
      note_first(call('ZRANGE', key.line(lane, org), 0, 0))
      note_first(call('ZRANGEBYSCORE', key.line(lane, org), 0, '+inf', 'LIMIT', 0, 1))
    end
  end
end
note_first(call('ZRANGE', key.suspects, 0, 0))
for _, state in ipairs({'delayed', 'active'}) do
  note(call('ZRANGEBYSCORE', key.state(state), '-inf', NOW, 'WITHSCORES', 'LIMIT', 0, 1)[2])
end

local workers = {}
for _, id in ipairs(call('ZRANGE', key.workers, 0, 999)) do
  local beat = call('GET', key.worker(id))
  -- seen in the future: the clock was set back, and nobody knows; a live one will have been seen within its lease
  if beat and cjson.decode(beat).seen <= NOW + 1000 then
    workers[#workers + 1] = id
    workers[#workers + 1] = beat
  end
end
local pause = call('HMGET', key.pause, 'since', 'until', 'reason')
for index = 1, 3 do pause[index] = pause[index] or '' end
local failed_today, excused_today = call('ZCOUNT', key.state('failed'), int(NOW - DAY), '+inf'), 0
for _, code in ipairs(failed_today > 0 and excused or {}) do
  excused_today = excused_today + call('ZCOUNT', key.failed_code(code), int(NOW - DAY), '+inf')
end
local wrote = redis.pcall('HSET', key.meta, 'looked', int(NOW))
return {{counts, pause, since and int(since) or '', call('HGET', key.meta, 'last-start') or '', workers,
  call('HGETALL', key.alerts), int(NOW), call('LLEN', key.quarantine), call('HGETALL', key.unknown_since),
  type(wrote) == 'table' and wrote.err or '', failed_today, excused_today}, {}}
