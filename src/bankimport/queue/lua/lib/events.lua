-- @include clock
-- Events into the streams, and into the index of their organisation: one entry for all that one script tells it.
local EMITTED, TOLD = {}, {}
local INDEX_MAX = 10000

local function append(stream, length, name, org, id, data)
  entry = next_entry()
  call('XADD', stream, 'MAXLEN', '~', length, entry, 'name', name, 'orgId', org, 'jobId', id, 'data', data)
  local told = TOLD[org]
  if told then told[2] = entry else TOLD[org] = {entry, entry} end
  if string.find(FLAGS, 'w', 1, true) then
    for _, value in ipairs({entry, name, org, id, data}) do EMITTED[#EMITTED + 1] = value end
  end
end

local function write_index()
  for org, told in pairs(TOLD) do
    if org ~= '' then
      call('XADD', key.index(org), 'MAXLEN', '~', INDEX_MAX, told[1], 'to', told[2])
      call('PEXPIRE', key.index(org), EVENTS_KEEP + DAY)
    end
  end
  TOLD = {}
end

-- `fields` is a JSON object without its braces, empty for none; the timestamp is added here.
local function emit(name, org, id, fields)
  if fields ~= '' then fields = fields .. ',' end
  append(key.events, EVENTS_MAX, name, org, id, '{' .. fields .. '"timestamp":"' .. now_text() .. '"}')
end

local function of_job(job) return '"jobId":"' .. job.id .. '","type":"' .. job.type .. '"' end

local function emit_progress(job, fields)
  append(key.progress, 10000, 'bank.job.progress', job.org, job.id, '{' .. of_job(job) .. ',' .. fields .. '}')
end
