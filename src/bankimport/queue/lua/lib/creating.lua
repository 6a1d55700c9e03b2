-- @include moves
-- New jobs: record, indexes, place in line, event. What they have in common is written together.
local NEW_FIELDS = {'type', 'org', 'lock', 'data', 'state', 'manual', 'order', 'queued', 'question', 'parent', 'payload'}

-- Note what a set is to be given, and give it, two hundred values at a time.
local function put(sets, set, value, member)
  local values = sets[set]
  if not values then
    sets[set] = {value, member}
    return
  end
  local size = #values
  values[size + 1], values[size + 2] = value, member
end

local function write(command, sets)
  for set, values in pairs(sets) do
    for at = 1, #values, 200 do call(command, set, unpack(values, at, math.min(at + 199, #values))) end
  end
end

-- Write jobs that there are none of yet. Each has id, type, org, lock, data, question, manual and, where they apply,
-- parent, payload, due in ms. The children of a batch are no wishes of their own, so they don't count against what an
-- organisation may ask.
local function create(jobs)
  local states, orgs, pending, lines, questions = {}, {}, {}, {}, {}
  local now = int(NOW)
  for _, job in ipairs(jobs) do
    local due = job.due or 0
    job.parent, job.stalls, job.queued, job.key = job.parent or '', '', now, key.job(job.id)
    job.order = rank(job)
    job.state = due > NOW and 'delayed' or 'waiting'
    call('HSET', job.key, unpack(fields_of(job, NEW_FIELDS)))
    put(states, key.state(job.state), due > NOW and due or now, job.id)
    put(orgs, key.org(job.org), now, job.id)
    if job.parent == '' then put(pending, key.pending(job.org), job.id) end
    if job.question ~= '' then
      questions[#questions + 1], questions[#questions + 2] = key.question(job.question), job.id
    end
    if job.state == 'waiting' then
      local lane = lane_of(job)
      local line = key.line(lane, job.org)
      if not lines[line] then call('ZADD', key.ring(lane), 'NX', serial, job.org) end
      put(lines, line, job.order, job.id)
      wake()
    end
    emit_of(job, 'bank.job.queued')
  end
  write('ZADD', states)
  write('ZADD', orgs)
  write('ZADD', lines)
  write('SADD', pending)
  if questions[1] then call('MSET', unpack(questions)) end
  for org in pairs(orgs) do call('PEXPIRE', org, KEEP_INDEX) end
end

-- Write a job that comes of another one, unless its question is being answered.
local function follow_up(job) -- @rarely
  if not twin_of(job) then create({job}) end
end
