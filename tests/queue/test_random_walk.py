"""Anything, in any order: a random walk over the real scripts, held against a simple model (issue 3).

The model knows what was asked and answered, never how: states, who holds which connection, what may start. After each
step the counts are equal and the promises hold; at the end everything drains, and nothing is left but records.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bankimport.errors import Conflict, IllegalTransition
from bankimport.events import TERMINAL, full_name
from bankimport.queue.run import Claim
from bankimport.queue.transitions import Ended
from bankimport.settings import Settings
from bankimport.status import JobState
from bankimport.watch.repairing import repair
from tests.queue.driver import PLACES, Driver
from tests.soak import SOAK

S = JobState
ORGS = st.sampled_from(["o1", "o2"])
CONNECTIONS = st.sampled_from(["c1", "c2", "c3", "c4", "c5"])
ENDED = (S.COMPLETED, S.FAILED, S.CANCELLED)
HOUR = 3_600_000


@dataclass
class Job:
    """What the model knows of a job."""

    id: str
    org: str
    lock: str
    question: tuple[str, ...]
    manual: bool
    state: JobState
    claim: Claim | None = None
    stalls: int = 0
    unheard: bool = False
    ends: int = 0
    cancelled: bool = False
    children: set[str] = field(default_factory=set)
    parent: str | None = None

    @property
    def limited(self) -> bool:
        """Whether it takes one of its organisation's places."""
        return not self.manual or self.parent is not None


class Walk(RuleBasedStateMachine):
    """The rules; each does one thing to the queue and to the model."""

    driver: Driver
    #: of the same queue, in which the time of what has ended is over
    later: Driver
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, Job] = {}
        self.paused = False
        self.told: Counter[str] = Counter()
        self.last = b"0-0"

    def do(self, work):  # type: ignore[no-untyped-def]  # whatever the coroutine returns
        """Run a coroutine to its end."""
        return self.runner.get_loop().run_until_complete(work)  # `run` minds signals, which costs as much again

    def of(self, *states: JobState) -> list[Job]:
        """Return the model's jobs in these states, in a stable order."""
        return [job for job in self.jobs.values() if job.state in states]

    def pick(self, data: st.DataObject, *states: JobState) -> Job:
        """Choose a job in one of the states."""
        return data.draw(st.sampled_from(self.of(*states)))

    def pending(self, question: tuple[str, ...]) -> Job | None:
        """Return the unfinished job that answers a question."""
        return next(
            (
                j
                for j in self.jobs.values()
                if j.question == question and j.state not in ENDED and not (j.cancelled and j.state is S.ACTIVE)
            ),
            None,
        )

    def end(self, job: Job, state: JobState) -> None:
        """Note a job's end, and what ends with it."""
        job.state, job.claim = state, None
        job.ends += 1
        job.stalls = 0
        for batch in self.of(S.WAITING_CHILDREN):
            self.settle(batch, job)

    def settle(self, batch: Job, job: Job) -> None:
        """A batch waits no longer for a job."""
        if job.id in batch.children:
            batch.children.discard(job.id)
            if not batch.children:
                self.end(batch, S.COMPLETED)

    @initialize()
    def empty(self) -> None:
        """Begin with an empty database."""
        self.do(self.driver.queue.client.flushdb())

    @rule(org=ORGS, connection=CONNECTIONS, scheduled=st.booleans(), full=st.booleans())
    def ask(self, org: str, connection: str, scheduled: bool, full: bool) -> None:
        """Ask for a sync; while the same is pending the same job is the answer, a person's wish brings it forward."""
        connection = f"{org}-{connection}"
        full = full and not scheduled
        question = ("sync", connection, str(full))
        twin = self.pending(question)
        job_id = self.do(self.driver.ask(connection, org=org, scheduled=scheduled, force_full_sync=full))
        if twin is None:
            assert job_id not in self.jobs
            self.jobs[job_id] = Job(job_id, org, connection, question, not scheduled, S.WAITING)
            return
        assert job_id == twin.id
        if not scheduled and not twin.manual and twin.state in (S.WAITING, S.DELAYED):
            twin.manual, twin.state, twin.parent = True, S.WAITING, None

    @rule(org=ORGS, connections=st.sets(CONNECTIONS, max_size=5), scheduled=st.booleans())
    def ask_all(self, org: str, connections: set[str], scheduled: bool) -> None:
        """Ask for a batch."""
        names = sorted(f"{org}-{each}" for each in connections)
        question = ("all", org, *names)
        twin = self.pending(question)
        job_id = self.do(self.driver.ask_all(*names, org=org, scheduled=scheduled))
        if twin is None:
            self.jobs[job_id] = Job(job_id, org, "", question, not scheduled, S.WAITING)
            return
        assert job_id == twin.id
        if not scheduled and not twin.manual and twin.state in (S.WAITING, S.DELAYED):
            twin.manual, twin.state, twin.parent = True, S.WAITING, None

    @rule(slots=st.integers(1, 6), waiting=st.booleans())
    def claim(self, slots: int, waiting: bool = False) -> None:
        """A worker claims; what it gets may start, in the right order, and nothing that may start is left."""
        claims = self.do(self.driver.claim(slots, waiting=waiting))
        if self.paused:
            assert claims == []
            return
        running = Counter(job.org for job in self.of(S.ACTIVE) if job.limited)
        locked = {job.lock for job in self.of(S.ACTIVE) if job.lock}
        suspects = [job for job in self.of(S.WAITING) if job.stalls == 2 and job.lock not in locked]
        for claim in claims:
            job = self.jobs[claim.job_id]
            assert job.state is S.WAITING
            assert not (job.lock and job.lock in locked)
            if job.limited:
                running[job.org] += 1
                assert running[job.org] <= PLACES
            if job.lock:
                locked.add(job.lock)
            job.state, job.claim, job.unheard = S.ACTIVE, claim, waiting
        if suspects:
            assert len(claims) <= 1, "a suspect is started alone"
        elif len(claims) < slots:
            startable = [
                job.id
                for job in self.of(S.WAITING)
                if job.lock not in locked and (not job.limited or running[job.org] < PLACES)
            ]
            assert startable == [], "what may start was left"

    @precondition(lambda self: self.of(S.ACTIVE))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """A run ends well; a batch's run makes its children."""
        job = self.pick(data, S.ACTIVE)
        assert job.claim is not None
        if job.question[0] == "all" and not job.cancelled:
            self.fan_out(job)
            return
        assert self.do(self.driver.complete(job.claim)) is Ended.DONE
        self.end(job, S.COMPLETED)

    def fan_out(self, batch: Job) -> None:
        """Make the children of a batch; connections that are asked for already are waited for."""
        names = batch.question[2:]
        assert batch.claim is not None
        self.do(self.driver.fan_out(batch.claim, *names, scheduled=not batch.manual))
        batch.state, batch.claim, batch.stalls = S.WAITING_CHILDREN, None, 0
        for name in names:
            question = ("sync", name, "False")
            twin = self.pending(question)
            if twin is None:
                raw = self.do(self.asked(name))
                twin = self.jobs[raw] = Job(raw, batch.org, name, question, batch.manual, S.WAITING, parent=batch.id)
            if twin.state is not S.DELAYED:
                batch.children.add(twin.id)
        if not batch.children:
            self.end(batch, S.COMPLETED)

    async def asked(self, connection: str) -> str:
        """Return the waiting job of a connection that the model doesn't know yet."""
        unknown = {job_id for job_id in await self.driver.ids(S.WAITING) if job_id not in self.jobs}
        for job_id in unknown:
            job = await self.driver.queue.get(job_id)
            if job is not None and job.data.get("connectionId") == connection:
                return job_id
        raise AssertionError(f"no job was made for {connection}")

    @precondition(lambda self: self.of(S.ACTIVE))
    @rule(data=st.data(), delay=st.sampled_from([None, 5_000, HOUR]))
    def fail(self, data: st.DataObject, delay: int | None) -> None:
        """A run fails, for now or for good. Whom a batch merely joined, or who comes back late, it waits for no more."""
        job = self.pick(data, S.ACTIVE)
        assert job.claim is not None
        answer = self.do(self.driver.fail(job.claim, delay=-1 if delay is None else delay))
        if delay is None or job.cancelled:
            assert answer is (Ended.CANCELLED if job.cancelled else Ended.FAILED)
            self.end(job, S.CANCELLED if job.cancelled else S.FAILED)
            return
        assert answer is Ended.DELAYED
        job.state, job.claim = S.DELAYED, None
        for batch in self.of(S.WAITING_CHILDREN):
            if job.parent != batch.id or delay == HOUR:
                self.settle(batch, job)

    @precondition(lambda self: self.of(S.ACTIVE))
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        """A worker is deployed anew."""
        job = self.pick(data, S.ACTIVE)
        assert job.claim is not None
        self.do(self.driver.give_back(job.claim))
        if job.cancelled:
            self.end(job, S.CANCELLED)
        else:
            job.state, job.claim = S.WAITING, None

    @precondition(lambda self: self.of(S.ACTIVE))
    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        """A worker says that it has a job that it was given while it waited: its stalls count from now on."""
        job = self.pick(data, S.ACTIVE)
        assert job.claim is not None
        assert self.do(self.driver.hear(job.claim)) == []
        job.unheard = False

    @precondition(lambda self: self.of(S.ACTIVE))
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """A worker dies; its lease ends, and the next look of another finds that. The dead one's word counts no more."""
        job = self.pick(data, S.ACTIVE)
        dead = job.claim
        assert dead is not None
        self.do(self.driver.lapse(job.id))
        self.do(self.driver.claim(0))
        job.stalls += not job.unheard
        if job.cancelled or job.stalls >= 3:
            self.end(job, S.CANCELLED if job.cancelled else S.FAILED)
        else:
            job.state, job.claim = S.WAITING, None
            assert self.do(self.driver.complete(dead)) is Ended.LOST

    @precondition(lambda self: self.of(S.WAITING, S.DELAYED, S.ACTIVE, S.WAITING_CHILDREN))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Somebody cancels: at once where it waits, later where it runs, the children of a batch with it."""
        job = self.pick(data, S.WAITING, S.DELAYED, S.ACTIVE, S.WAITING_CHILDREN)
        self.do(self.driver.queue.cancel(job.id))
        if job.state is S.ACTIVE:
            job.cancelled = True
            return
        children, job.children = job.children, set()
        self.end(job, S.CANCELLED)
        for child in (self.jobs[child_id] for child_id in sorted(children)):
            if child.parent == job.id and child.state in (S.WAITING, S.DELAYED):
                self.end(child, S.CANCELLED)

    @precondition(lambda self: self.of(*ENDED))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """Somebody tries a job again: a failed one, unless another is doing the same."""
        job = self.pick(data, *ENDED)
        try:
            self.do(self.driver.queue.retry(job.id))
        except IllegalTransition:
            assert job.state is S.COMPLETED
        except Conflict:
            assert self.pending(job.question) is not None
        else:
            assert job.state in (S.FAILED, S.CANCELLED)
            job.state, job.manual, job.cancelled, job.parent, job.children = S.WAITING, True, False, None, set()

    @rule()
    def time_passes(self) -> None:
        """All that is delayed becomes due."""
        self.do(self.driver.make_due())
        self.do(self.driver.claim(0))
        for job in self.of(S.DELAYED):
            job.state = S.WAITING

    @rule()
    def pause(self) -> None:
        """The whole queue is paused."""
        self.do(self.driver.queue.pause())
        self.paused = True

    @rule()
    def resume(self) -> None:
        """It goes on."""
        self.do(self.driver.queue.resume())
        self.paused = False

    @rule()
    def lines_vanish(self) -> None:
        """Somebody removes the lines in which jobs wait for a worker; the sweeper makes them anew."""
        self.do(self.remove_lines())
        self.do(repair(self.driver.queue))

    async def remove_lines(self) -> None:
        """Remove every line, and the rings of turns."""
        client, prefix = self.driver.queue.client, self.driver.queue.keys.prefix
        lines = tuple(f"{prefix}{name}".encode() for name in ("ring:", "line:", "held:", "suspects"))
        if found := [key for key in await client.keys() if key.startswith(lines)]:
            await client.delete(*found)

    @rule()
    def cleanup(self) -> None:
        """The time of all ended jobs is over."""
        for state in ENDED:
            self.do(self.later.do.cleanup_jobs(state, 1000))
            for job in self.of(state):
                del self.jobs[job.id]

    @invariant()
    def all_is_as_the_model_has_it(self) -> None:
        """Each state's set has exactly the model's jobs, the numbers are theirs, and each end was told once."""
        found, entries = self.do(self.driver.look(self.last))
        for state in JobState:
            assert found[state] == {job.id for job in self.of(state)}
        for self.last, event in entries:
            if full_name(event[b"name"].decode()) in TERMINAL:
                self.told[event[b"jobId"].decode()] += 1
        for job in self.jobs.values():
            assert self.told[job.id] == job.ends, (job, self.told[job.id])
        stats = self.do(self.driver.watch.stats())
        waiting = len(self.of(S.WAITING))
        assert (stats.paused, stats.waiting) == ((waiting, 0) if self.paused else (0, waiting))

    @invariant()
    def no_connection_runs_twice(self) -> None:
        """One sync of a connection at a time."""
        locks = [job.lock for job in self.of(S.ACTIVE) if job.lock]
        assert len(locks) == len(set(locks))

    def teardown(self) -> None:
        """Everything drains, and nothing is left but records."""
        if not self.jobs and not hasattr(self, "driver"):
            return
        self.resume()
        for _ in range(200):
            self.time_passes()
            self.claim(6)
            for job in self.of(S.ACTIVE):
                assert job.claim is not None
                if job.question[0] == "all" and not job.cancelled:
                    self.fan_out(job)
                else:
                    self.do(self.driver.complete(job.claim))
                    self.end(job, S.COMPLETED)
            if not self.of(S.WAITING, S.DELAYED, S.ACTIVE, S.WAITING_CHILDREN):
                break
        self.all_is_as_the_model_has_it()
        assert self.do(self.driver.leftovers()) == []


@pytest.mark.parametrize("_part", range(4 if SOAK else 1))  # for as many processes
def test_any_order_of_anything(redis_url: str, _part: int) -> None:
    """Enqueue, start, finish, fail, retry, cancel, pause, crash, expire, clean up, in random order."""
    with asyncio.Runner() as runner:

        async def start() -> Driver:
            return Driver.of(Settings.load(redis_url=redis_url))

        over = timedelta(minutes=-1)
        Walk.runner, Walk.driver = runner, runner.run(start())
        Walk.later = Walk.driver.with_settings(keep_completed=over, keep_failed=over)
        try:
            run_state_machine_as_test(
                Walk,
                settings=settings(
                    max_examples=500 if SOAK else 40,
                    stateful_step_count=60 if SOAK else 40,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                    phases=(Phase.generate,),
                ),
            )
        finally:
            runner.run(Walk.driver.aclose())
