-- A worker's heartbeat: it lives, its running jobs keep their leases; stalled ones are noticed.
-- @include leases
-- worker: its id. lifetime: of the heartbeat (ms). about: JSON of what it says of itself. functions: the names it knows.
-- runs: a list of {id, fence}.
-- Returns {lost ids, cancelled ids, '1' if anybody is in line (a wake-up may have gone to a worker that is frozen), '1'
--   if work is left over that the next beat should do at once}. Emits what sweeping emits.
local lost, stopped = renew(runs)
about.seen, about.running = NOW, #runs - #lost
local before = call('SET', key.worker(worker), cjson.encode(about), 'PX', lifetime, 'GET')
-- a beat a minute says so for the next three and clears away those that have died; an idle worker asks little of Redis
local MINUTE = 60000
if not before or math.floor(cjson.decode(before).seen / MINUTE) ~= math.floor(NOW / MINUTE) then
  if call('ZADD', key.workers, int(NOW + lifetime + 3 * MINUTE), worker) == 1 then call('PEXPIRE', key.workers, 30 * DAY) end
  call('ZREMRANGEBYSCORE', key.workers, '-inf', NOW)
end
if call('EXISTS', key.state('active'), key.unknown_since, key.cancelling, key.suspects, key.ring('manual'),
    key.ring('scheduled')) == 0 then
  return reply({lost, stopped, '', ''})
end

-- A lease that ends later than any can was given before the clock was set back: its worker has another lease's time.
local far = int(NOW + 3 * LEASE)
for _, id in ipairs(call('ZRANGEBYSCORE', key.state('active'), far, '+inf', 'LIMIT', 0, 100)) do
  call('ZADD', key.state('active'), int(NOW + LEASE), id)
end
sweep_stalled()

-- What no worker knew how to do, this one may, a slice at a time: a rolling update is over.
local function take_back(name)
  local ids = call('ZPOPMIN', key.unknown(name), SLICE)
  for at = 1, #ids, 2 do
    local job = load_job(ids[at])
    if job and job.state == 'waiting' then offer(job) end
  end
  if #ids == 2 * SLICE then return true end
  call('HDEL', key.unknown_since, name)
  return false
end

local more = false
if call('EXISTS', key.unknown_since) == 1 then
  for _, name in ipairs(functions) do
    more = not more and call('HEXISTS', key.unknown_since, name) == 1 and take_back(name) or more
  end
end
local batch = call('SRANDMEMBER', key.cancelling) -- whoever cancelled it may have died half-way
if batch then
  begin()
  more = cancel_children(batch) or more or call('EXISTS', key.cancelling) == 1
end
return reply({lost, stopped, any_ready() and '1' or '', more and '1' or ''})
