"""SAQ: `work`, or `produce one|bulk|picks <number>`, which prints a JSON object."""

import asyncio
import json
import os
import random
import sys
import time
from typing import Any

from saq import Queue, Worker  # type: ignore[import-not-found]  # in an environment of its own

PORT = int(os.environ["PEERS_PORT"])
STAGES = ("starting", "syncing_accounts", "syncing_transactions", "finalizing", "completed")


def make() -> Any:
    """Return the queue."""
    return Queue.from_url(f"redis://127.0.0.1:{PORT}", name="peers")


async def sync(ctx: dict[str, Any], *, connection_id: str, sent: float = 0) -> dict[str, Any]:
    """Do the job."""
    if sent:
        await ctx["job"].queue.redis.rpush("peers:waits", time.time() * 1000 - sent)
    for number, stage in enumerate(STAGES):
        await ctx["job"].update(progress=number / 4, meta={"stage": stage, "message": stage})
    return {"connectionId": connection_id, "success": True, "accountsSynced": 0}


async def work() -> None:
    """Run a worker until it is killed."""
    worker = Worker(make(), functions=[sync], concurrency=10)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await worker.start()


async def produce(kind: str, number: int) -> None:
    """Add jobs, and say how long it took."""
    queue = make()
    await queue.connect()
    began = time.time()

    async def add(n: int) -> None:
        more = {"sent": time.time() * 1000} if kind == "picks" else {}
        name = f"{kind}{n}"
        await queue.enqueue("sync", connection_id=name, key=name, retries=4, retry_backoff=True, ttl=604_800, **more)

    if kind == "bulk":
        for start in range(0, number, 100):
            await asyncio.gather(*(add(n) for n in range(start, min(start + 100, number))))
    else:
        for n in range(number):
            await add(n)
            if kind == "picks":
                await asyncio.sleep(random.uniform(0.02, 0.05))
    sys.stdout.write(json.dumps({"seconds": time.time() - began}) + "\n")
    await queue.disconnect()


if __name__ == "__main__":
    asyncio.run(work() if sys.argv[1] == "work" else produce(sys.argv[2], int(sys.argv[3])))
