-- Start the jobs that this worker may start now: manual before scheduled but for one in ten, organisations in turn.
-- @include starts
-- worker: its id. number: of the call, with a `w` behind it if the worker has been waiting (`leases`). slots: free places. busy: how many runs it has. functions: the names it knows.
-- Returns {claims, wait (ms until something may be startable, -1 unknown), length of arq's queue, 1 if the limit of
--   starts refused one, else 0}; a claim is {id, type,
--   org, data, payload, attempts, fence, queued, psu, stalls}. Emits bank.job.started, and what sweeping emits.
-- The same call again (its reply was lost) is given the same claims again, with new leases.
slots = math.min(slots, 100)
-- A job finds itself running some ms after its claim, and not all jobs equally late: a twentieth more than asked keeps
-- the limit by their own clocks too.
local window = math.ceil(RATE_WINDOW * 1.05)
local quarter = math.ceil(window / 4)

if IS_AGAIN then
  number = heard(number) -- this answer is waited for
  for _, id in ipairs(call('ZRANGE', key.state('active'), 0, -1)) do
    local job = call('HGET', key.job(id), 'worker') == worker and load_job(id)
    if job and heard(job.call) == number then
      renew({{id, job.fence}})
      describe(job)
    end
  end
  if #claims > 0 then return reply({claims, 0, 0, 0}) end
end

sweep_stalled()
promote_due()
local stopped, over = paused()
local ready = any_ready() -- with nothing in line, the rest costs an idle worker nothing
local room = 0

-- Fill the free places. One start in ten is the schedule's while its jobs wait; but they take at most three tenths of
-- the limit in a quarter of its window: a crowd of them never uses up a whole window at its beginning, so that a person
-- waits for a part of one only. After so many that can't be started the rest is left to the next call.
local MOST, aside = 100, 0
local function fill()
  local free = math.min(slots, room)
  local even = math.ceil(RATE_MAX * 0.3) - call('ZCOUNT', key.starts, '(' .. int(NOW - quarter), '+inf')
  local both = call('EXISTS', key.ring('manual'), key.ring('scheduled')) == 2
  local before = both and tonumber(call('HGET', key.meta, 'streak') or 0) or 0
  local streak, manual_left = before, true
  while #claims < free and aside < MOST do
    local lane = manual_left and (streak < 9 or even <= 0) and 'manual' or 'scheduled'
    if lane == 'scheduled' and even <= 0 then break end
    local started = #claims
    if not start_next(lane) then
      if lane == 'manual' then manual_left = false else even = 0 end -- nobody is left there
    elseif #claims > started then
      if lane == 'manual' then streak = streak + 1 else even, streak = even - 1, 0 end
    else
      aside = aside + 1
    end
  end
  if both and streak ~= before then call('HSET', key.meta, 'streak', streak) end
end

if ready and not stopped then
  begin()
  call('ZREMRANGEBYSCORE', key.starts, '-inf', NOW - window - 1)
  call('ZREMRANGEBYSCORE', key.starts, '(' .. int(NOW), '+inf') -- the clock was set back
  room = RATE_MAX - call('ZCARD', key.starts)
  if slots == 0 or call('EXISTS', key.suspects) == 0 or not start_suspect() then fill() end
  if #claims > 0 then
    call('HSET', key.meta, 'last-start', NOW)
    call('ZADD', key.starts, unpack(counted))
    call('PEXPIRE', key.starts, window + 1000)
  end
end

local waits, limited = -1, 0
local function sooner(at)
  local ms = at and math.max(1, at - NOW)
  if ms and (waits < 0 or ms < waits) then waits = ms end
end
for _, state in ipairs({'delayed', 'active'}) do
  sooner(tonumber(call('ZRANGE', key.state(state), 0, 0, 'WITHSCORES')[2]))
end
if stopped then
  sooner(over)
elseif ready and any_ready() then
  if #claims == slots then
    wake() -- this worker is full: another one's turn
  elseif aside == MOST then
    waits = 1
  elseif room - #claims <= 0 then
    limited = 1
    local first = tonumber(call('ZRANGE', key.starts, 0, 0, 'WITHSCORES')[2])
    sooner(first and first + window + 2)
  else
    limited = 1
    local first = tonumber(call('ZRANGEBYSCORE', key.starts, '(' .. int(NOW - quarter), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2])
    sooner(first and first + quarter)
  end
end
return reply({claims, int(waits), call('ZCARD', INBOX), limited})
