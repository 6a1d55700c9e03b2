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
local PIECE = 64
local MOST_PIECES = 16
local function add_in_pieces(fields, name, text)
  local size = #text > PIECE * MOST_PIECES and #text or PIECE
  for at = 1, #text, size do
    fields[#fields + 1] = at == 1 and name or name .. int((at - 1) / size)
    fields[#fields + 1] = string.sub(text, at, at + size - 1)
  end
end

-- Whether a record stands in its state's index. One that doesn't (the index was removed behind our back) never runs,
-- so it must not answer for others.
local function is_whole(job) return job and call('ZSCORE', key.state(job.state), job.id) end

-- The id of the job that answers the question of each of these, false for none.
local function answers_to(jobs)
  local names = {}
  for index, job in ipairs(jobs) do names[index] = key.question(job.question) end
  return names[1] and call('MGET', unpack(names)) or {}
end

-- The unfinished job of an id that answers a question, or nil.
local function unfinished(id)
  local job = load_job(id)
  return is_whole(job) and job or nil
end

-- The unfinished job that answers the question of this one, or nil.
local function twin_of(job)
  local id = answers_to({job})[1]
  return id and unfinished(id)
end

-- Whether this job is the one that answers its question; another may by now, as this one is being cancelled.
local function is_answering(job) return job.question ~= '' and call('GET', key.question(job.question)) == job.id end
