"""How a worker with room waits for work: on a list of tokens, of which each wakes one worker."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from functools import partial

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bankimport.errors import LeaseLost, Unavailable
from bankimport.queue.claims import Claims
from bankimport.queue.idling import LOOK
from bankimport.queue.queue import Queue
from bankimport.queue.run import Run
from bankimport.queue.under_way import ClaimCall
from bankimport.redis.connection import BLOCK, LOST
from bankimport.redis.deadline import LONGEST

#: How long the word that something was heard may take on the connection of waits, in seconds.
_HEARD = 0.7


class WakeUps:
    """Hears the wake-ups of one worker. `client` is for what is no script."""

    def __init__(self, claims: Claims, queue: Queue, client: Redis) -> None:
        self._claims = claims
        self._queue = queue
        self._client = client

    async def listen(self) -> None:
        """Wait for tokens for ever. Run it as a task of the worker."""
        claims = self._claims
        while True:
            await claims.roomy.wait()
            try:
                if claims.is_warm and claims.asking:
                    await asyncio.wait(claims.asking)  # a claim that is under way looks for itself
                elif claims.is_warm and (call := claims.begin_waiting()) is not None:
                    await self._wait_with(call)
                else:
                    await self._wait()
            except (*LOST, RedisError):  # lost, or refused: blocked clients of a demoted primary are told UNBLOCKED
                await asyncio.sleep(LOOK)
            except Exception as error:  # nobody would notice that this has ended
                claims.complaints.warn("queue.wait_failed", type(error).__name__, worker=claims.hooks.worker_id)
                await asyncio.sleep(LOOK)

    async def _wait(self) -> None:
        if await self._client.execute_command("BLPOP", self._queue.keys.wake, BLOCK) is None:
            return
        if self._claims.roomy.is_set() and not self._claims.stopping:
            self._claims.wake()
            await asyncio.sleep(0)  # the claim goes out before the next wait
        else:  # it became full, or stops: another worker's turn
            self._claims.roomy.clear()
            await self._client.execute_command("LPUSH", self._queue.keys.wake, "1")

    async def _wait_with(self, call: ClaimCall) -> None:
        """Wait for a token with a claim behind the wait: the server carries it out as the token comes, and a trip is
        saved. It does so for a worker that may be frozen, or gone: until this one says that it has what was claimed the
        lease is short, and its end no stall. It says so before the job's own code begins, or a job that kills its
        worker would never be found guilty."""
        now, wait = time.monotonic(), min(BLOCK, self._queue.settings.lease.total_seconds() / 3)
        hooks, behind = self._claims.hooks, ("BLPOP", self._queue.keys.wake, wait)
        claim = self._queue.transitions.claim_jobs.aside(
            behind, wait + LONGEST, hooks.worker_id, *call, sorted(hooks.functions)
        )
        runs = await self._claims.take(now, call.number, claim, unheard=True)
        if runs:
            await self._say_heard(runs)  # here and now: the runs begin in the next turn of the loop

    async def _say_heard(self, runs: Sequence[Run]) -> None:
        """Say so on the connection of the wait, in which nothing is under way: it is sent here and now. If that is not
        heard, say it again on the ordinary one, before the short lease is over."""
        hear, ids = self._queue.transitions.hear_claims, [(run.job_id, str(run.fence)) for run in runs]
        for say in (partial(hear.aside, None, _HEARD), hear, hear):
            asked_at = time.monotonic()
            with contextlib.suppress(Unavailable, RuntimeError):
                lost = await say(ids)
                break
        else:
            return  # the next beat says so, or their leases end
        for run in runs:
            if run.job_id in lost:
                run.interrupt(LeaseLost(run.job_id))
            else:
                run.renewed(asked_at)
