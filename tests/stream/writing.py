"""Writes into the streams as the queue's scripts do: explicit ids from one counter, state change left out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from bankimport.redis.keys import Keys

#: One counter for both streams, and the two writes of a batch in one script, as in the queue's prelude.
SCRIPT = """
local out = {}
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ms = math.max(now, tonumber(redis.call('HGET', KEYS[3], 'ms') or 0))
for index = 1, #ARGV, 5 do
  local seq = redis.call('HINCRBY', KEYS[3], 'seq', 1)
  redis.call('HSET', KEYS[3], 'ms', string.format('%.0f', ms))
  local id = string.format('%.0f', ms) .. '-' .. seq
  redis.call('XADD', KEYS[tonumber(ARGV[index])], id, 'name', ARGV[index + 1], 'orgId', ARGV[index + 2], 'jobId',
    ARGV[index + 3], 'data', ARGV[index + 4])
  redis.call('XADD', KEYS[4] .. 'index:' .. ARGV[index + 2], id, 'more', 0)
  redis.call('EXPIRE', KEYS[4] .. 'index:' .. ARGV[index + 2], 600)
  out[#out + 1] = id
end
return out
"""


#: What an entry leaves out, because it says so otherwise.
_UNSAID = ("jobId", "type", "timestamp", "queuedAt", "startedAt", "completedAt")


def stored(data: Mapping[str, Any]) -> str:
    """Return an event's data as it stands in its entry: a job's type in a line, and what else there is."""
    if "type" not in data:
        return json.dumps(data)
    fields = json.dumps({name: value for name, value in data.items() if name not in _UNSAID})
    return f"{data['type']}\n{fields[1:-1]}"


@dataclass
class StreamWriter:
    """Writes events of a queue."""

    client: "Redis[str]"
    keys: Keys

    async def write(self, *events: tuple[str, str, str, dict[str, Any]]) -> list[str]:
        """Write (name, organisation, job, data) in one script; return the ids."""
        args: list[Any] = []
        for name, org_id, job_id, data in events:
            args += [2 if name == "bank.job.progress" else 1, name.removeprefix("bank."), org_id, job_id, stored(data)]
        names = [self.keys.events, self.keys.progress, f"{self.keys.prefix}test-counter"]
        ids: list[str] = await self.client.eval(SCRIPT, 4, *names, self.keys.prefix, *args)
        await self.client.expire(names[2], 600)
        return ids

    async def queued(self, job_id: str = "j1", org_id: str = "acme") -> str:
        """Write that a job was queued; return the id."""
        data = {"jobId": job_id, "type": "sync-connection", "timestamp": "2026-01-01T00:00:00.000Z"}
        return (await self.write(("bank.job.queued", org_id, job_id, data)))[0]

    async def progress(self, job_id: str = "j1", org_id: str = "acme", percent: int = 10) -> str:
        """Write progress of a job; return the id."""
        data = {"jobId": job_id, "type": "sync-connection", "stage": "starting", "message": "-", "percent": percent}
        return (await self.write(("bank.job.progress", org_id, job_id, data)))[0]

    async def completed(self, job_id: str = "j1", org_id: str = "acme") -> str:
        """Write that a job has ended; return the id."""
        at = "2026-01-01T00:00:00.000Z"
        data = {
            "jobId": job_id, "type": "sync-connection", "queuedAt": at, "startedAt": at, "completedAt": at,
            "waited": 0, "duration": 1, "attempts": 1, "success": True, "timestamp": at,
        }  # fmt: skip
        return (await self.write(("bank.job.completed", org_id, job_id, data)))[0]
