-- @include lanes
-- @include stream/events
-- The only way from one state to another. Leaving a state lets go of all that the state held; entering `waiting` puts
-- the job into its line.

-- A run holds its connection and, where it is limited, one of its organisation's places. Its lease is its place among
-- the active.
local function release(job)
  if job.lock ~= '' then
    call('DEL', key.lock(job.lock))
    free_lock(job.lock)
  end
  if is_limited(job) then
    call('SREM', key.running(job.org), job.id)
    reopen(job.org)
  end
end

-- Move a job along the table; `score` is its place in the new state's set, and further fields and values are written
-- with the state. A job that ends has its record written anew by who ends it.
local function move(job, operation, score, ...)
  local from, to = job.state, TRANSITIONS[operation][job.state]
  if not to then error('illegal: ' .. operation .. ' of a job that is ' .. from) end
  begin()
  call('ZREM', key.state(from), job.id)
  call('ZADD', key.state(to), score, job.id)
  job.state = to
  if not ENDED[to] then call('HSET', job.key, 'state', to, ...) end
  if from == 'active' then
    release(job)
  elseif from == 'waiting' and to ~= 'active' and to ~= 'waiting' then
    leave(job)
  end
  if to == 'waiting' then offer(job) end
end

local function can(job, operation) return TRANSITIONS[operation][job.state] ~= nil end

-- The end of every script: what it writes once is written, and an answer that may be asked for again is kept.
local TOKEN = ARGV[#ARGV]
local function reply(answer)
  write_wakes()
  write_index()
  if TOKEN ~= '' then call('SET', key.reply(TOKEN), cjson.encode({answer}), 'PX', 60000) end
  return {answer, EMITTED}
end

-- The end of a script whose calls travel together: `run` is told behind which argument those of a call begin. What stops
-- one of them is its own answer and no other's, unless nothing may be written at all.
local function replies(run, width)
  local answers = {}
  for at = 0, #ARGV - 2 - width, width do
    local done, answer = pcall(run, at)
    if not done and not serial then error(answer, 0) end
    answers[#answers + 1] = done and answer or type(answer) == 'table' and answer or {err = answer}
  end
  return reply(answers)
end

if TOKEN ~= '' and IS_AGAIN then
  local kept = call('GET', key.reply(TOKEN))
  if kept then return {cjson.decode(kept)[1], {}} end -- the call was carried out, and its reply was lost
end
