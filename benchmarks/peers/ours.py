"""Ours at the peers' work: a sync that tells five stages and returns a result.

`arq benchmarks.peers.ours.WorkerSettings` works; `produce one|bulk|picks <number>` prints a JSON object.
"""

import asyncio
import json
import os
import random
import sys
import time
from typing import cast

import uvloop
from redis.asyncio import Redis

from bankimport.commands import Command, SyncConnection
from bankimport.logs import configure
from bankimport.models import JobType, Stage
from bankimport.queue.adoption import Adoption
from bankimport.queue.claims import Hooks
from bankimport.queue.gate import Gate
from bankimport.queue.queue import Enqueue, Queue
from bankimport.queue.run import Run
from bankimport.redis.connection import connect
from bankimport.settings import Settings
from bankimport.worker.event_loop import choose_event_loop
from bankimport.worker.lifecycle import Lifecycle, new_worker_id
from bankimport.worker.outcome import Outcome
from bankimport.worker.runner import Runner
from bankimport.worker.settings_class import WorkerSettingsBase, settings_class

STAGES = (Stage.STARTING, Stage.SYNCING_ACCOUNTS, Stage.SYNCING_TRANSACTIONS, Stage.FINALIZING, Stage.COMPLETED)


def worker_settings() -> type[WorkerSettingsBase]:
    """Return arq's settings class."""
    settings = Settings.load()
    configure(settings)
    choose_event_loop(settings)
    queue = Queue(connect(settings, Redis), settings)
    gate = connect(settings, Gate)
    gate.attach(queue, Hooks(new_worker_id(), settings.concurrency))

    async def sync(command: Command, run: Run) -> Outcome:
        connection_id = cast(SyncConnection, command).connection_id
        word, _, sent = connection_id.partition("-")
        if word == "picks":
            await queue.client.rpush("peers:waits", time.time() * 1000 - int(sent) / 1000)
        for number, stage in enumerate(STAGES):
            await run.advance(stage, stage.value, 25 * number)
        counts = {"accountsSynced": 0, "transactionsSynced": 0}
        return Outcome(result={"connectionId": connection_id, "success": True, **counts}, counts=counts)

    async def org_of(_: str) -> str | None:
        return "org"

    async def nothing() -> None:
        return None

    adoption = Adoption(queue, org_of)
    runner = Runner(queue, gate, {JobType.SYNC_CONNECTION: sync})
    lifecycle = Lifecycle(queue, gate, adoption, prepare=nothing, dispose=nothing, alone=True)
    return settings_class(settings, gate, runner, lifecycle, [], adoption)


def __getattr__(name: str) -> type[WorkerSettingsBase]:
    if name == "WorkerSettings":
        return worker_settings()
    raise AttributeError(name)


async def produce(kind: str, number: int) -> None:
    """Add jobs, and say how long it took."""
    settings = Settings.load(redis_url=f"redis://127.0.0.1:{os.environ['PEERS_PORT']}/0")
    queue = Queue(connect(settings, Redis), settings)
    began = time.time()
    if kind == "bulk":
        await queue.enqueue_many([_sync(f"b{n}") for n in range(number)])
    else:
        for n in range(number):
            await queue.enqueue(_sync(f"picks-{int(time.time() * 1e6)}" if kind == "picks" else f"{kind}{n}"))
            if kind == "picks":
                await asyncio.sleep(random.uniform(0.02, 0.05))
    sys.stdout.write(json.dumps({"seconds": time.time() - began}) + "\n")
    await queue.client.aclose()


def _sync(connection_id: str) -> Enqueue:
    return Enqueue(SyncConnection(org_id="org", connection_id=connection_id))


if __name__ == "__main__":
    uvloop.run(produce(sys.argv[2], int(sys.argv[3])))  # as a host does that uvicorn serves
