-- @include moves
-- New jobs: record, indexes, place in line, event. What many have in common is written together.

local OPTIONAL = {'lock', 'question', 'parent', 'payload'}

-- Give a set a value, or a score and its member; `later` takes it down for `write` instead, where there is one.
local function put(later, command, set, value, member)
  local values = later and later[set]
  if values then
    local size = #values
    values[size + 1], values[size + 2] = value, member
  elseif later then
    later[set] = {command, value, member}
  elseif member then
    call(command, set, value, member)
  else
    call(command, set, value)
  end
end

local function write(later)
  for set, values in pairs(later) do
    for at = 2, #values, 200 do call(values[1], set, unpack(values, at, math.min(at + 199, #values))) end
  end
end

-- Write jobs that there are none of yet. Each has id, type, org, lock, data, question, manual and, where they apply,
-- parent, payload, due in ms, front (whether it goes before what others have asked). The children of a batch are no
-- wishes of their own, so they don't count against what an organisation may ask.
local function create(jobs)
  local later, questions, now = jobs[2] and {}, {}, int(NOW)
  for _, job in ipairs(jobs) do
    local id, org, lane, due = job.id, job.org, lane_of(job), job.due or 0
    job.parent = job.parent or ''
    local state = due > NOW and 'delayed' or 'waiting'
    local order = job.front and int(next_serial() + FRONT) or rank(job)
    local fields = {'type', job.type, 'org', org, 'data', job.data, 'state', state, 'manual', job.manual, 'order', order,
      'queued', now}
    for _, name in ipairs(OPTIONAL) do
      local value = job[name] or ''
      if value ~= '' then fields[#fields + 1], fields[#fields + 2] = name, value end
    end
    call('HSET', key.job(id), unpack(fields))
    put(later, 'ZADD', key.state(state), due > NOW and due or now, id)
    put(later, 'ZADD', key.org(org), now, id)
    if job.parent == '' then put(later, 'SADD', key.pending(org), id) end
    if job.question ~= '' then questions[#questions + 1], questions[#questions + 2] = key.question(job.question), id end
    if state == 'waiting' then
      local line = key.line(lane, org)
      if not later or not later[line] then call('ZADD', key.ring(lane), 'NX', serial, org) end
      put(later, 'ZADD', line, order, id)
      wake()
    end
    emit_of(job, 'bank.job.queued')
  end
  if later then write(later) end
  if questions[1] then call('MSET', unpack(questions)) end
  local renewed
  for _, job in ipairs(jobs) do
    if job.org ~= renewed then call('PEXPIRE', key.org(job.org), KEEP_INDEX) end
    renewed = job.org
  end
end

-- Write a job that comes of another one, unless its question is being answered.
local function follow_up(job) -- @rarely
  if not twin_of(job) then create({job}) end
end
