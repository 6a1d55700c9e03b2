-- @include records
-- Where waiting jobs stand. Each organisation has two lines, of the jobs that persons asked for and of the schedule's;
-- the organisations with somebody in line take turns in a ring. Scheduled jobs and the children of a batch are limited:
-- so many of an organisation run at once. A job whose connection is being synced stands aside (`held`), one that was
-- twice running as its worker died stands among the suspects, and one whose function no worker knew stands by it.
local FRONT = -7e15
local CHILD = 1e14
local SCHEDULED = 2e14
local SUSPECT = 2

local function is_limited(job) return job.manual ~= '1' or job.parent ~= '' end

-- A job's place in its line: in the order of asking, a person's own wishes before the children of a batch.
local function kind_rank(job) return job.manual ~= '1' and SCHEDULED or job.parent ~= '' and CHILD or 0 end
local function rank(job) return int(next_serial() + kind_rank(job)) end

local function lane_of(job) return job.manual == '1' and 'manual' or 'scheduled' end

-- One token wakes one idle worker; at most 16 lie there. They are written once a script.
local wakes = 0
local function wake() wakes = math.min(wakes + 1, 16) end

local function write_wakes()
  if wakes == 0 then return end
  local free = 16 - call('LLEN', key.wake)
  if free <= 0 then return end
  local tokens = {}
  for index = 1, math.min(wakes, free) do tokens[index] = '1' end
  call('LPUSH', key.wake, unpack(tokens))
end

-- Whether anybody is in line.
local function any_ready() return call('EXISTS', key.ring('manual'), key.ring('scheduled'), key.suspects) > 0 end

local function reopen(org)
  for _, lane in ipairs({'manual', 'scheduled'}) do
    if call('EXISTS', key.line(lane, org)) == 1 then
      begin()
      call('ZADD', key.ring(lane), 'NX', serial, org)
      wake()
    end
  end
end

-- Put a waiting job into its line.
local function offer(job) -- @rarely
  wake()
  if tonumber(job.stalls) == SUSPECT then
    call('ZADD', key.suspects, job.order, job.id)
    return
  end
  local lane = lane_of(job)
  begin()
  call('ZADD', key.line(lane, job.org), job.order, job.id)
  call('ZADD', key.ring(lane), 'NX', serial, job.org)
end

-- Whether an organisation has all its places taken; a run whose record was removed behind our back takes none.
local function is_full(org)
  local running = key.running(org)
  if call('SCARD', running) < PLACES then return false end
  for _, id in ipairs(call('SMEMBERS', running)) do
    if call('HGET', key.job(id), 'state') ~= 'active' then call('SREM', running, id) end
  end
  return call('SCARD', running) >= PLACES
end

-- The holder of a connection's lock; one whose record was removed behind our back holds up nobody.
local function holder_of(lock)
  local id = call('GET', key.lock(lock))
  return id and call('HGET', key.job(id), 'state') == 'active' and id or nil
end

-- The connection is free: the first that stands aside for it may have its turn.
local function free_lock(lock)
  local held = call('ZPOPMIN', key.held(lock))
  while held[1] do
    local job = load_job(held[1])
    if job and job.state == 'waiting' then return offer(job) end
    held = call('ZPOPMIN', key.held(lock)) -- that record is gone
  end
end

-- Take a job out of wherever it waits. What stood aside for the same connection may have waited for it alone.
local function leave(job) -- @rarely
  local line = key.line(lane_of(job), job.org)
  if call('ZREM', line, job.id) == 1 then
    if call('EXISTS', line) == 0 then call('ZREM', key.ring(lane_of(job)), job.org) end
  else
    call('ZREM', key.suspects, job.id)
    call('ZREM', key.unknown(job.type), job.id)
  end
  if job.lock ~= '' then
    call('ZREM', key.held(job.lock), job.id)
    if not holder_of(job.lock) then free_lock(job.lock) end
  end
end
