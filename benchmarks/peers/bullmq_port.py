"""BullMQ's Python port: `work`, or `produce one|bulk|picks <number>`, which prints a JSON object."""

import asyncio
import json
import os
import random
import sys
import time
from typing import Any

from bullmq import Queue, Worker  # type: ignore[import-not-found]  # in an environment of its own
from redis.asyncio import Redis

PORT = int(os.environ["PEERS_PORT"])
OPTIONS = {"connection": f"redis://127.0.0.1:{PORT}"}
STAGES = ("starting", "syncing_accounts", "syncing_transactions", "finalizing", "completed")


def options(job_id: str) -> dict[str, Any]:
    """Return a job's options."""
    return {
        "attempts": 4,
        "backoff": {"type": "exponential", "delay": 5000},
        "deduplication": {"id": job_id},
        "removeOnComplete": {"age": 604_800},
        "removeOnFail": {"age": 2_592_000},
    }


async def work() -> None:
    """Run a worker until it is killed."""
    redis = Redis(port=PORT)

    async def process(job: Any, _: str) -> dict[str, Any]:
        if sent := job.data.get("sent"):
            await redis.rpush("peers:waits", time.time() * 1000 - sent)
        for number, stage in enumerate(STAGES):
            await job.updateProgress({"stage": stage, "message": stage, "percent": 25 * number})
        return {"connectionId": job.data["connectionId"], "success": True, "accountsSynced": 0}

    worker = Worker("peers", process, {**OPTIONS, "concurrency": 10})
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()
    await worker.close()


async def produce(kind: str, number: int) -> None:
    """Add jobs, and say how long it took."""
    queue = Queue("peers", OPTIONS)
    began = time.time()
    if kind == "bulk":
        for start in range(0, number, 1000):
            names = [f"b{n}" for n in range(start, min(start + 1000, number))]
            await queue.addBulk([{"name": "sync", "data": {"connectionId": n}, "opts": options(n)} for n in names])
    else:
        for n in range(number):
            data: dict[str, Any] = {"connectionId": f"{kind}{n}"}
            if kind == "picks":
                data["sent"] = time.time() * 1000
            await queue.add("sync", data, options(f"{kind}{n}"))
            if kind == "picks":
                await asyncio.sleep(random.uniform(0.02, 0.05))
    sys.stdout.write(json.dumps({"seconds": time.time() - began}) + "\n")
    await queue.close()


if __name__ == "__main__":
    asyncio.run(work() if sys.argv[1] == "work" else produce(sys.argv[2], int(sys.argv[3])))
