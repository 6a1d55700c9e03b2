-- The server's clock, and the one counter from which orders, fences and the ids of the streams are taken.
-- The counter never goes back, even if the clock does. It is the first thing that a script writes: a server that is
-- full, read-only or without its replicas refuses there, and nothing of the script is done by halves.
local P, INBOX = KEYS[1], KEYS[2]
local FLAGS = ARGV[#ARGV - 1]
local IS_AGAIN = string.find(FLAGS, 'a', 1, true) -- it may have been carried out before
local call = redis.call
local clock = call('TIME')
local NOW = clock[1] * 1000 + math.floor(clock[2] / 1000)
local DAY = 86400000
local A_MS = 2000 -- numbers a millisecond
local AT_ONCE = 64 -- so many are reserved at once: fewer than a script's time

local function int(number) return string.format('%.0f', number) end

local serial, reserved
local entry, entry_ms, entry_seq

local function reserve(from)
  local last = call('SET', key.serial, from + AT_ONCE, 'GET') -- nothing is reserved where this is refused
  serial, reserved = from, from + AT_ONCE
  return tonumber(last or 0)
end

local function begin()
  if serial then return end
  local last = reserve((clock[1] * 1000000 + clock[2]) * (A_MS / 1000)) -- whole, and below 2^53
  if last >= serial then reserve(last + 1) end
  entry_ms = math.floor(serial / A_MS)
  entry_seq = (serial - entry_ms * A_MS) * 1000
end

local function next_serial()
  begin()
  serial = serial + 1
  if serial == reserved then reserve(serial) end
  return serial
end

local function iso(ms)
  local days = math.floor(ms / DAY)
  local rest = ms - days * DAY
  local z = days + 719468 -- days since 0000-03-01 (civil-from-days)
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day, math.floor(rest / 3600000),
    math.floor(rest / 60000) % 60, math.floor(rest / 1000) % 60, rest % 1000)
end

local iso_now
local function now_text()
  iso_now = iso_now or iso(NOW)
  return iso_now
end
