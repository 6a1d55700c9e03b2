"""Sixty days of a bank that keeps its own log: real jobs, the queue's retries, people, crashes, an emptied Redis.

The bank counts what it is asked without the person, by account (or connection) and scope; it knows nothing of our ledger.
"""

import heapq
import itertools
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from bankimport.commands import SyncConnection
from bankimport.errors import RateLimited, Transient
from bankimport.jobs import DEFERRED
from bankimport.models import BankAccount, BankConnection, Capabilities, JobType, Page, PsuContext, Quota, Scope
from bankimport.ports import AccessKey, CountedRead
from bankimport.retry import POLICIES
from bankimport.testing import ManualClock
from bankimport.testing.fakes import FakeBank, FakeRun, MemoryLedger, MemoryNotes
from bankimport.testing.memory_store import MemoryStore
from bankimport.worker.handlers import JobHandlers, Ports
from tests.simulation.world import CARD, CONNECTION, GIRO, reported

BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(hours=24)
#: How long after a bank is well again an account may have to wait.
LONGEST_GAP = timedelta(hours=30)


class Killed(BaseException):
    """The worker's process is gone."""


@dataclass(frozen=True)
class Habits:
    """What happens in a world."""

    start: datetime = datetime(2026, 3, 10, tzinfo=BERLIN)
    outages: float = 0.0  # how many begin a day
    crashes: float = 0.0  # of runs
    limits: float = 0.0  # of requests: the bank's own 429
    quotas: float = 0.0  # of answers: headers that say nothing is left
    manual: float = 0.0  # requests a day without an address
    people: float = 0.0  # requests a day with one
    emptied: float = 0.0  # times a day
    connections: int = 1
    calendar: bool = False
    late: timedelta = timedelta(seconds=90)  # how late a tick's job may start


WORLDS = {
    "a healthy bank": Habits(),
    "outages": Habits(outages=0.7),
    "two connections": Habits(connections=2, outages=0.2),
    "crashes": Habits(crashes=0.15),
    "requests without the person": Habits(manual=3.0, outages=0.3),
    "people": Habits(people=3.0, manual=1.0, outages=0.3),
    "the bank's own limits": Habits(limits=0.08, quotas=0.1),
    "an emptied Redis": Habits(emptied=0.3, outages=0.3, manual=1.0),
    "the day of 25 hours": Habits(start=datetime(2026, 10, 1, tzinfo=BERLIN), calendar=True, manual=1.0),
    "the day of 23 hours": Habits(calendar=True, outages=0.3, crashes=0.05),
    "all together": Habits(
        start=datetime(2026, 10, 1, tzinfo=BERLIN), outages=0.4, crashes=0.05, limits=0.03, quotas=0.03, manual=1.0,
        people=0.5, emptied=0.1, calendar=True,
    ),
}  # fmt: skip


class LoggingBank(FakeBank):
    """Writes down each request, is away at times, and refuses some."""

    def __init__(self, habits: Habits, r: random.Random, clock: ManualClock, days: int) -> None:
        zone = BERLIN if habits.calendar else None
        super().__init__(capabilities=Capabilities(quota_zone=zone))
        self.accounts_answer = [GIRO, CARD]
        self.habits, self.random, self.clock = habits, r, clock
        self.counted: defaultdict[tuple[Scope, str], list[datetime]] = defaultdict(list)
        #: when all that is new of an account was read, and when one was refused by the bank's own limit, until when
        self.read_at: defaultdict[tuple[str, str], list[datetime]] = defaultdict(list)
        self.refused: defaultdict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
        self.killer: Callable[[], None] = lambda: None
        start = habits.start.astimezone(UTC)
        self.away: list[tuple[datetime, datetime]] = []
        at = start
        while habits.outages and at < start + timedelta(days=days):
            at += timedelta(days=r.expovariate(habits.outages))
            end = at + timedelta(minutes=r.choice((0.5, 1, 10, 300, 1500, 4000)))
            self.away.append((at, end))
            at = end

    def ask(self, scope: Scope, key: str, psu: PsuContext | None) -> None:
        """One request arrives."""
        now = self.clock()
        if psu is None:
            self.counted[scope, key].append(now)
        self.killer()
        if any(begin <= now < end for begin, end in self.away):
            raise Transient("away", scope=scope)
        if self.random.random() < self.habits.limits:
            wait = timedelta(minutes=self.random.choice((0.3, 3, 120, 1440, 4000)))
            self._closes(key, now + wait)
            raise RateLimited(scope=scope, retry_after=wait)

    def _closes(self, key: str, until: datetime) -> None:
        """Note that the bank has refused something until then; nobody heeds that for more than a day."""
        self.refused[key].append((self.clock(), min(until, self.clock() + DAY)))

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Any:
        self.ask(Scope.ACCOUNTS, connection.id, psu)
        return self.accounts_answer

    async def balances(self, connection: BankConnection, account: BankAccount, psu: PsuContext | None) -> Any:
        self.ask(Scope.BALANCES, account.stable_key, psu)
        return ()

    async def transactions(
        self, connection: BankConnection, account: BankAccount, window: Any, *, cursor: Any, psu: PsuContext | None
    ) -> Any:
        self.ask(Scope.TRANSACTIONS, account.stable_key, psu)
        quota = None
        if self.random.random() < self.habits.quotas:
            quota = Quota(0, self.clock() + timedelta(hours=self.random.choice((1, 6, 30))))
            self._closes(account.stable_key, quota.resets_at)
        yield Page((reported("-3.50", ref="a", day=self.clock().date()),), quota=quota)
        self.killer()
        if window.until is None:
            self.read_at[connection.id, account.stable_key].append(self.clock())


class NotingLedger(MemoryLedger):
    """Notes which accounts are being read: a worker that dies before it has sent what it has counted leaves no trace at
    the bank."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: set[str] = set()

    async def reserve(self, key: AccessKey, read: CountedRead, **more: Any) -> datetime | None:
        until = await super().reserve(key, read, **more)
        if until is None and key.scope is Scope.TRANSACTIONS:
            self.reading.add(key.stable_key)
        return until

    async def note_success(self, key: AccessKey, connection_id: str) -> None:
        self.reading.discard(key.stable_key)
        await super().note_success(key, connection_id)


@dataclass
class Job:
    """A job of the queue."""

    id: str
    command: SyncConnection
    psu_ip: str | None = None
    attempts: int = 0
    stalls: int = 0
    asked_at: datetime | None = None


@dataclass
class Life:
    """One seed of one world."""

    name: str
    seed: int
    days: int = 60
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.habits = WORLDS[self.name]
        self.random = random.Random(f"{self.name}-{self.seed}")
        self.clock = ManualClock(self.habits.start.astimezone(UTC))
        self.bank = LoggingBank(self.habits, self.random, self.clock, self.days)
        self.connections = [replace(CONNECTION, id=f"connection-{n}") for n in range(self.habits.connections)]
        self.store = MemoryStore(*self.connections)
        self.ledger, self.notes = NotingLedger(), MemoryNotes()
        self.line: list[tuple[datetime, int, Job | str]] = []
        self.pending: dict[str, Job] = {}
        self.runs = 0
        self.unended: list[str] = []
        #: by connection and account: when our own worker died before it had read it
        self.crashed: defaultdict[tuple[str, str], list[datetime]] = defaultdict(list)
        self.emptied: list[datetime] = []

    # What happens ----------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Let all days pass."""
        self._plan()
        while self.line:
            at, _, what = heapq.heappop(self.line)
            self.clock.now = max(at, self.clock())
            if isinstance(what, Job):
                await self._run(what)
            elif what == "emptied":
                self.emptied.append(self.clock())
                self.ledger.empty()
                self.notes = MemoryNotes()
                self.pending.clear()
                self.line = [entry for entry in self.line if not isinstance(entry[2], Job)]
                heapq.heapify(self.line)
            else:
                self._asked(what)

    def _plan(self) -> None:
        r, habits = self.random, self.habits
        for day, hour in itertools.product(range(self.days), range(0, 24, 4)):
            self._at((habits.start + timedelta(days=day)).replace(hour=hour).astimezone(UTC), "tick")
        for what, rate in (("manual", habits.manual), ("person", habits.people), ("emptied", habits.emptied)):
            at = habits.start.astimezone(UTC)
            while rate:
                at += timedelta(days=r.expovariate(rate))
                if at > habits.start + timedelta(days=self.days):
                    break
                self._at(at, what)

    def _at(self, at: datetime, what: "Job | str") -> None:
        heapq.heappush(self.line, (at, next(self.numbers), what))

    def _asked(self, what: str) -> None:
        r, now = self.random, self.clock()
        for connection in self.connections if what == "tick" else [r.choice(self.connections)]:
            options: dict[str, Any] = {"scheduled": True} if what == "tick" else {}
            if what == "manual":
                start = now.date() - timedelta(days=40)
                wishes: list[dict[str, Any]] = [
                    {}, {}, {"force_full_sync": True}, {"start_date": start, "end_date": start + timedelta(days=9)}
                ]  # fmt: skip
                options = r.choice(wishes)
            job = Job(f"job-{next(self.numbers)}", self._command(connection.id, **options))
            if what == "person":
                job.psu_ip, job.asked_at = "8.8.8.8", now
            late = self.habits.late.total_seconds() if what == "tick" else 2
            self._enqueue(job, now + timedelta(seconds=r.uniform(0, late)))

    def _command(self, connection_id: str, **options: Any) -> SyncConnection:
        return SyncConnection(connection_id=connection_id, org_id=CONNECTION.org_id, **options)

    def _enqueue(self, job: Job, due: datetime) -> None:
        """Let a job wait, unless the same question is being asked already; a person hurries it on."""
        asked = self.pending.get(job.command.question())
        if asked is None:
            self.pending[job.command.question()] = job
            self._at(due, job)
        elif job.psu_ip is not None:
            asked.psu_ip, asked.asked_at = job.psu_ip, job.asked_at
            self.line = [entry for entry in self.line if entry[2] is not asked]
            heapq.heapify(self.line)
            self._at(due, asked)

    async def _run(self, job: Job) -> None:
        """Run a job once, as a worker does."""
        self.runs += 1
        person = None if job.psu_ip is None else PsuContext(job.psu_ip, at=job.asked_at)
        run = FakeRun(job.id, CONNECTION.org_id, self.runs, person)
        dies_after = self.random.randrange(1, 8) if self.random.random() < self.habits.crashes else 10**9
        self.bank.killer = self._killer(dies_after)
        self.ledger.reading.clear()
        self.store.before = lambda name: self.bank.killer()
        ports = Ports({"bank": self.bank}, self.store, self.ledger, self.notes, self.clock)
        handlers = JobHandlers(cast(Any, None), ports, cast(Any, None)).all()
        try:
            outcome = await handlers[JobType.SYNC_CONNECTION](job.command, cast(Any, run))
        except Killed:
            for stable_key in self.ledger.reading:
                self.crashed[job.command.connection_id, stable_key].append(self.clock())
            job.stalls += 1
            if job.stalls < 3:
                self._at(self.clock() + timedelta(seconds=self.random.uniform(5, 20)), job)
            else:
                self._end(job)
        except (Transient, RateLimited) as error:
            delay = POLICIES[JobType.SYNC_CONNECTION].delay(error, job.attempts, jitter=self.random.random())
            job.attempts += 1
            if run.if_failed is None:
                self.unended.append(job.id)
            elif (wait := run.if_failed.bound(delay)) is not None:
                self._at(self.clock() + wait, job)
                return
            self._end(job)
        else:
            self._end(job)
            for follow_up in outcome.follow_ups:
                command = cast(SyncConnection, follow_up.command)
                assert command.triggered_by == (
                    None if job.command.triggered_by is None and job.command.scheduled else DEFERRED
                )
                self._enqueue(Job(f"job-{next(self.numbers)}", command), cast(datetime, follow_up.due))

    def _killer(self, dies_after: int) -> Callable[[], None]:
        steps = itertools.count(1)

        def kill() -> None:
            if next(steps) >= dies_after:
                raise Killed

        return kill

    def _end(self, job: Job) -> None:
        self.pending.pop(job.command.question(), None)

    # What the bank's log says --------------------------------------------------------------------------------------

    def faults(self) -> list[str]:
        """Everything that is not as banking.md §5 has it, in words."""
        return [f"{self.name}, seed {self.seed}: {fault}" for fault in (*self._too_many(), *self._too_rare())]

    def _too_many(self) -> Iterator[str]:
        for (scope, key), times in self.bank.counted.items():
            for first, fifth in zip(times, times[4:], strict=False):
                if fifth - first < DAY:
                    yield f"five of {scope} {key[-4:]} from {first} to {fifth}"
            if self.habits.calendar:
                days = [at.astimezone(BERLIN).date() for at in times]
                yield from (
                    f"{days.count(day)} of {scope} {key[-4:]} on {day}" for day in set(days) if days.count(day) > 4
                )

    def _too_rare(self) -> Iterator[str]:
        for connection, account in itertools.product(self.connections, (GIRO, CARD)):
            if self.name == "a healthy bank":
                read = self.bank.read_at[connection.id, account.stable_key]
                days = [at.astimezone(BERLIN).date() for at in read]
                yield from (f"{days.count(day)} reads on {day}" for day in set(days) if days.count(day) < 3)
            yield from self._gaps(connection.id, account.stable_key)

    def _gaps(self, connection_id: str, account: str) -> Iterator[str]:
        """From each instant at which all was well an account is read within 30 hours, unless that ended before: the bank
        was away or refused, or our own worker died, which looks the same to the account that it was reading.

        Whoever empties Redis takes away what is known of a day's requests: all that the store knows is when the last
        one through a connection was, so the wait begins with that.
        """
        begin, end = self.habits.start.astimezone(UTC), self.habits.start.astimezone(UTC) + timedelta(days=self.days)
        read, crashed = self.bank.read_at[connection_id, account], self.crashed[connection_id, account]
        ill = [*self.bank.away, *self.bank.refused[account]]
        ends = sorted(at for at in (*read, *crashed, *(since for since, _ in ill), end) if at <= end)
        for at in (begin, *read, *crashed, *(until for _, until in ill)):
            later = bisect_right(ends, at)
            if later == len(ends) or any(since <= at < until for since, until in ill):
                continue
            asked = [one for one in self._asked_before_an_emptying(ends[later]) if one > at]
            if ends[later] - max(at, *asked, at) > LONGEST_GAP:
                yield f"{account[-4:]} of {connection_id} not read for {ends[later] - at} after {at}"

    def _asked_before_an_emptying(self, before: datetime) -> Iterator[datetime]:
        """Yield what the bank was last asked each time before Redis was emptied."""
        times = sorted(at for asked in self.bank.counted.values() for at in asked)
        for emptied in self.emptied:
            number = bisect_right(times, emptied)
            if number and emptied < before:
                yield times[number - 1]
