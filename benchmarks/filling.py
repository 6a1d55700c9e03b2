"""Finished jobs by the million: copies of real records, in the keys that the key class makes, with their indexes."""

import time
from dataclasses import dataclass

import redis

from bankimport.redis.keys import Keys
from bankimport.status import JobState

DAY = 86_400_000
_SLICE = 10_000

#: Copies a record. KEYS: the record. ARGV: the prefix, the number of the first of all, the first of these, how many, ms
#: between two, ms to live, how many organisations, error code and bank or empty, then the indexes that each copy
#: stands in by name (`%s` for its organisation).
_COPY = """
local record = redis.call('DUMP', KEYS[1])
local prefix, base, first, number, step, live, orgs, code, bank = unpack(ARGV, 1, 9)
local now = tonumber(redis.call('TIME')[1]) * 1000
for n = tonumber(first), first + number - 1 do
  local id, org = string.format('copy%012d', n), 'org-' .. (n % tonumber(orgs))
  redis.call('RESTORE', prefix .. 'job:' .. id, live, record)
  redis.call('HSET', prefix .. 'job:' .. id, 'org', org)
  if code ~= '' then redis.call('HSET', prefix .. 'job:' .. id, 'code', code, 'bank', bank) end
  for index = 10, #ARGV do
    redis.call('ZADD', string.gsub(ARGV[index], '%%s', org), string.format('%.0f', now - (n - base) * step), id)
  end
end
"""


@dataclass(frozen=True, slots=True)
class Copies:
    """So many copies of an ended job, the youngest ended now and each a `step` (ms) before the one before it."""

    job_id: str
    state: JobState
    number: int
    first: int = 0
    step: float = 1.0
    organisations: int = 1000
    #: of a failed job: its error, and the bank that was being asked
    code: str = "transient"
    bank: str = ""


def copy(admin: redis.Redis, keys: Keys, copies: Copies) -> None:
    """Write the copies."""
    indexes = [keys.state(copies.state), keys.of("org", "%s")]
    if copies.state is JobState.FAILED:
        indexes += [keys.of("failed_code", copies.code), keys.of("failed_type", "sync-connection")]
        indexes += [keys.of("failed_org", "%s"), keys.of("failed_kind", copies.code, copies.bank)]
        indexes += [keys.of("failed_bank", copies.bank)] if copies.bank else []
    if copies.state is JobState.FAILED:
        admin.zadd(keys.of("failed_kinds"), {f"{copies.code}:{copies.bank}": time.time() * 1000})
    for start in range(0, copies.number, _SLICE):
        number = min(_SLICE, copies.number - start)
        head = (keys.prefix, copies.first, copies.first + start, number, copies.step, 60 * DAY, copies.organisations)
        of_failed = (copies.code, copies.bank) if copies.state is JobState.FAILED else ("", "")
        admin.eval(_COPY, 1, keys.job(copies.job_id), *head, *of_failed, *indexes)
