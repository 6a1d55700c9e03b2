"""What arq asks about a job that this worker has claimed, answered from the claim, without Redis."""

import time
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from bankimport.queue.claims import Claims
from bankimport.queue.run import Run
from bankimport.redis.keys import ARQ_IN_PROGRESS, ARQ_JOB


class ClaimPipeline(Pipeline):
    """A pipeline in which arq's three questions about a claimed job are answered from the claim."""

    def __init__(self, client: Redis, claims: Claims, transaction: bool, shard_hint: str | None) -> None:  # noqa: FBT001  # redis-py's
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._claims = claims
        self._claimed: Run | None = None

    async def watch(self, *names: Any) -> Any:  # type: ignore[override]  # redis-py's stub says None, it is awaited
        """arq begins to claim a job: this worker has it already."""
        run = self._claims.runs.get(str(names[0]).removeprefix(ARQ_IN_PROGRESS)) if len(names) == 1 else None
        if run is None or not str(names[0]).startswith(ARQ_IN_PROGRESS):
            return await super().watch(*names)
        self._claimed = run
        return True

    def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        """Answer EXISTS and ZSCORE between WATCH and MULTI of a claim; all else is redis-py's."""
        if self._claimed is not None and not self.explicit_transaction:
            # never later than this host's clock, which may be behind the server's: arq would leave the job for later
            return _answered(0 if args[0] == "EXISTS" else min(self._claimed.claim.queued_ms, time.time() * 1000))
        return super().execute_command(*args, **kwargs)

    async def execute(self, raise_on_error: bool = True) -> Any:  # noqa: FBT001  # redis-py's
        """Answer the end of a claim, the loading of a claimed job, and the end of one; all else goes to Redis."""
        if self._claimed is not None:
            self._claimed.begun = True
            await self.reset()
            return [True]
        commands = [command[0] for command in self.command_stack]
        loaded = self._run_of(commands, "GET", ARQ_JOB)
        if loaded is not None:
            await self.reset()
            return [loaded.claim.payload, 1, True]
        ended = self._run_of(commands, "DEL", ARQ_IN_PROGRESS)
        if ended is None:
            return await super().execute(raise_on_error)
        await self.reset()
        if not ended.settled:
            await self._claims.settle(ended)
        self._claims.done(ended)
        return [True] * len(commands)

    async def reset(self) -> None:
        """Forget the claim with the rest."""
        self._claimed = None
        if self.connection is None:  # nothing was sent: there is nothing to take back
            self.command_stack, self.scripts = [], set()
            self.watching = self.explicit_transaction = False
        else:
            await super().reset()  # type: ignore[no-untyped-call]  # redis-py

    def _run_of(self, commands: list[tuple[Any, ...]], verb: str, prefix: str) -> Run | None:
        """Return the claimed run whose key under `prefix` one of the commands names."""
        for command in commands:
            if command[0] == verb:
                for key in command[1:]:
                    if str(key).startswith(prefix):
                        return self._claims.runs.get(str(key).removeprefix(prefix))
        return None


async def _answered(value: float) -> float:
    return value
