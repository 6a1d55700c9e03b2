-- @include redis/clock
-- Events into the streams, and into the index of their organisation: one entry for all that one script tells it, the
-- id of the first and how many behind it the last is. An entry is short: its name without `bank.` or `bank.job.`, its data without its
-- job's id and its instant, which the entry has already, with the type of its job as a first line instead of in JSON, and
-- with spans for instants (`early`: by how many ms the entry's is ahead). `Event.told` spells all of it out.
local EMITTED, TOLD = {}, {}
local INDEX_MAX = 10000
local IS_HEARD = string.find(FLAGS, 'w', 1, true)

-- Ids of both streams are of one order, so that one id resumes a reader of both.
local function append(stream, length, name, org, id, data)
  begin()
  entry_seq = entry_seq + 1
  entry = int(entry_ms) .. '-' .. int(entry_seq)
  name = string.sub(name, string.sub(name, 1, 9) == 'bank.job.' and 10 or 6)
  call('XADD', stream, 'MAXLEN', '~', length, entry, 'name', name, 'orgId', org, 'jobId', id, 'data', data)
  local told = TOLD[org]
  if told then told.more = entry_seq - told.seq else TOLD[org] = {first = entry, seq = entry_seq, more = 0} end
  if IS_HEARD then
    for _, value in ipairs({entry, name, org, id, data}) do EMITTED[#EMITTED + 1] = value end
  end
end

local function write_index()
  for org, told in pairs(TOLD) do
    if org ~= '' then
      call('XADD', key.index(org), 'MAXLEN', '~', INDEX_MAX, told.first, 'more', told.more)
      call('PEXPIRE', key.index(org), EVENTS_KEEP + DAY)
    end
  end
  TOLD = {}
end

-- `fields` is a JSON object without its braces, empty for none.
local function emit(name, org, id, fields) append(key.events, EVENTS_MAX, name, org, id, '{' .. fields .. '}') end

-- An event that has its job's type as a field beside `fields`, if there are any.
local function emit_of(job, name, fields)
  append(key.events, EVENTS_MAX, name, job.org, job.id, fields and job.type .. '\n' .. fields or job.type)
end

local function emit_progress(job, fields)
  append(key.progress, 10000, 'bank.job.progress', job.org, job.id, job.type .. '\n' .. fields)
end
