-- @include redis/clock
-- Reading and writing the record of a job.
local FIELDS = {'state', 'type', 'org', 'lock', 'data', 'manual', 'order', 'queued', 'started', 'attempts', 'stalls',
  'fence', 'question', 'parent', 'cancel', 'worker', 'psu', 'payload', 'round', 'call', 'watched'}

local function load_job(id)
  local values = call('HMGET', key.job(id), unpack(FIELDS))
  if not values[1] then return nil end
  local job = {id = id, key = key.job(id)}
  for index = 1, #FIELDS do job[FIELDS[index]] = values[index] or '' end
  if job.attempts == '' then job.attempts = '0' end
  return job
end

-- The fields of a record as HSET takes them. What is empty is left out, as `load_job` reads it, and so is a count of no
-- attempts, but for the organisation: the queue's own jobs have none.
local function fields_of(job, names)
  local fields, size = {}, 0
  for index = 1, #names do
    local name = names[index]
    local value = job[name] or ''
    if value ~= '' and (value ~= '0' or name ~= 'attempts') or name == 'org' then
      fields[size + 1], fields[size + 2] = name, value
      size = size + 2
    end
  end
  return fields
end

-- One value over 64 bytes makes a hash of Redis five times as large: a longer one is laid in pieces `name`, `name1`, …
local PIECE, MOST_PIECES = 64, 16
local function add_in_pieces(fields, name, text)
  local size = #text > PIECE * MOST_PIECES and #text or PIECE
  for at = 1, #text, size do
    fields[#fields + 1] = at == 1 and name or name .. int((at - 1) / size)
    fields[#fields + 1] = string.sub(text, at, at + size - 1)
  end
end

-- Entries of sorted sets that a script adds by the thousand are written by the hundred. `ttl`: of the set, from now on.
local ADDED, TTLS = {}, {}
local function add_later(set, score, member, ttl)
  TTLS[set] = ttl
  local batch = ADDED[set] or {}
  ADDED[set] = batch
  batch[#batch + 1] = score
  batch[#batch + 1] = member
  if #batch == 200 then
    call('ZADD', set, unpack(batch))
    ADDED[set] = nil
  end
end

-- Members of sets and plain keys likewise.
local MEMBERS, SET_LATER = {}, {}
local function member_later(set, member)
  local batch = MEMBERS[set] or {}
  MEMBERS[set] = batch
  batch[#batch + 1] = member
end

local function set_later(name, value)
  SET_LATER[#SET_LATER + 1] = name
  SET_LATER[#SET_LATER + 1] = value
end

local function write_added()
  for set, batch in pairs(ADDED) do call('ZADD', set, unpack(batch)) end
  for set, ttl in pairs(TTLS) do call('PEXPIRE', set, ttl) end
  for set, batch in pairs(MEMBERS) do call('SADD', set, unpack(batch)) end
  if #SET_LATER > 0 then call('MSET', unpack(SET_LATER)) end
  ADDED, TTLS, MEMBERS, SET_LATER = {}, {}, {}, {}
end

-- Whether a record stands in its state's index. One that doesn't (the index was removed behind our back) never runs,
-- so it must not answer for others.
local CREATED = {}
local function is_whole(job)
  return job and (CREATED[job.id] or call('ZSCORE', key.state(job.state), job.id))
end

-- The ids of the jobs that answer questions, as far as this script has asked or created them; false for none.
local ANSWERS = {}
local function ask_together(jobs)
  local names, asked = {}, {}
  for _, job in ipairs(jobs) do
    if job.question ~= '' then names[#names + 1], asked[#asked + 1] = key.question(job.question), job.question end
  end
  for index, id in ipairs(#names > 0 and call('MGET', unpack(names)) or {}) do ANSWERS[asked[index]] = id end
end

-- The unfinished job that answers a question, or nil.
local function answering(question)
  local id = ANSWERS[question]
  if id == nil then id = question ~= '' and call('GET', key.question(question)) end
  local job = id and load_job(id)
  return is_whole(job) and job or nil
end

-- Whether this job is the one that answers its question; another may by now, as this one is being cancelled.
local function is_answering(job) return job.question ~= '' and call('GET', key.question(job.question)) == job.id end
