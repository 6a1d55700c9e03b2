"""banking.md §5: when a bank may be asked without the person."""

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bankimport.access.budget import ROLLING, due, forgotten, is_quota, slot
from bankimport.ports import AccessHistory, Asks, CountedRead

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
P, W, D = Asks.PLANNED, Asks.WHOLE, Asks.DAYS


def read(hours_ago: float, asks: Asks = P, by: str = "c", job: str = "j") -> CountedRead:
    """A request so many hours ago."""
    return CountedRead(NOW - timedelta(hours=hours_ago), asks, by, job)


def history(*reads: CountedRead, failures: int = 0, closed: datetime | None = None) -> AccessHistory:
    """What a ledger knows."""
    return AccessHistory(tuple(sorted(reads, key=lambda each: each.at)), failures, closed)


@pytest.mark.parametrize(
    ("ago", "allowed_in"),
    [
        pytest.param((), None, id="nothing read"),
        pytest.param((1, 2, 3), None, id="three of four"),
        pytest.param((1, 2, 3, 20), timedelta(hours=4, minutes=5), id="when the oldest leaves"),
        pytest.param((1, 2, 3, 24), timedelta(minutes=5), id="five minutes for the bank's clock"),
        pytest.param((1, 2, 3, 25), None, id="older ones don't count"),
        pytest.param((1, 2, 3, 4, 5), timedelta(hours=20, minutes=5), id="after the limit was lowered"),
    ],
)
def test_four_in_a_rolling_day(ago: tuple[float, ...], allowed_in: timedelta | None) -> None:
    """At most four unattended reads in 24 hours and 5 minutes; else the instant at which one is free."""
    known = history(*map(read, ago))
    until = slot(known, asks=P, limit=4, now=NOW)
    assert until == (None if allowed_in is None else NOW + allowed_in)
    if until is not None:
        assert slot(known, asks=P, limit=4, now=until) is None


@pytest.mark.parametrize(
    ("reads", "asks", "allowed"),
    [
        pytest.param((read(3, W), read(2, W), read(1, W)), W, False, id="three requests, and a fourth"),
        pytest.param((read(3, W), read(2, W), read(1, W)), P, True, id="three requests, and the schedule"),
        pytest.param((read(17), read(9), read(1)), W, True, id="the day's planned reads are done"),
        pytest.param((read(17), read(9), read(1)), D, True, id="days asked for by hand"),
        pytest.param((read(9), read(8, W), read(1)), W, False, id="a planned read is to come"),
        pytest.param((read(9), read(1)), W, True, id="the third is anybody's"),
    ],
)
def test_the_fourth_is_kept_for_the_schedule(reads: tuple[CountedRead, ...], asks: Asks, allowed: bool) -> None:
    """A request without the person may have the last place only when the day's planned reads are done."""
    assert (slot(history(*reads), asks=asks, limit=4, now=NOW) is None) is allowed


def test_what_the_bank_closed_stays_closed() -> None:
    """A bank's own refusal makes the budget smaller, also where a contract has no limit."""
    later = NOW + timedelta(hours=3)
    assert slot(history(closed=later), asks=P, limit=None, now=NOW) == later
    assert slot(history(closed=NOW), asks=P, limit=4, now=NOW) is None
    assert slot(history(), asks=P, limit=0, now=NOW) == NOW + ROLLING


@pytest.mark.parametrize("day", [datetime(2026, 10, 25), datetime(2026, 3, 29), datetime(2026, 7, 1)])  # noqa: DTZ001  # in the bank's zone
@pytest.mark.parametrize("seed", range(20))
def test_no_calendar_day_has_five_reads(day: datetime, seed: int) -> None:
    """At a bank that counts days in its zone the day of 25 hours, that of 23 and any other have at most four reads."""
    r = random.Random(seed)
    now, reads = day.replace(tzinfo=BERLIN).astimezone(UTC) - timedelta(hours=26), []
    while now < day.replace(tzinfo=BERLIN).astimezone(UTC) + timedelta(hours=52):
        until = slot(AccessHistory(tuple(reads)), asks=P, limit=4, now=now, zone=BERLIN)
        if until is None:
            reads.append(CountedRead(now, P, "c", "j"))
        else:
            assert until > now
            assert slot(AccessHistory(tuple(reads)), asks=P, limit=4, now=until, zone=BERLIN) is None
        now += timedelta(minutes=r.choice((1, 10, 60, 240)))
    for clock in (timedelta(minutes=-5), timedelta(0), timedelta(minutes=5)):  # the bank's own may be wrong
        days = [(each.at + clock).astimezone(BERLIN).date() for each in reads]
        assert max(days.count(each) for each in set(days)) == 4


@pytest.mark.parametrize(
    ("known", "due_in"),
    [
        pytest.param(history(), None, id="never read"),
        pytest.param(history(read(4)), 3.75, id="a tick four hours later is too early"),
        pytest.param(history(read(7.75)), None, id="7 h 45 min later it is due"),
        pytest.param(history(read(1, W)), 6.75, id="a request for all is as good as a planned read"),
        pytest.param(history(read(1, D)), None, id="a January read by hand puts off nothing"),
        pytest.param(history(read(1, by="other")), None, id="what another connection read isn't here"),
        pytest.param(history(read(0.01, job="this"), failures=1), None, id="the job's own first failure"),
        pytest.param(
            history(read(0.01, job="this"), failures=2), 7.74, id="its second waits for the next planned read"
        ),
        pytest.param(history(read(4, job="that"), failures=1), 3.75, id="another job's failure"),
        pytest.param(history(read(8), failures=3), 15.75, id="after three it is once a day"),
        pytest.param(history(read(23.75), failures=7), None, id="that day has 23 h 45 min, so that it doesn't drift"),
    ],
)
def test_when_the_schedule_reads_next(known: AccessHistory, due_in: float | None) -> None:
    """Three planned reads a day, one retry, and after three failures in a row one read a day."""
    found = due(known, connection_id="c", job_id="this", limit=4, now=NOW)
    assert found == (None if due_in is None else NOW + timedelta(hours=due_in))


def test_a_contract_without_a_limit_is_read_at_every_tick() -> None:
    """But a bank that fails is left alone there too."""
    assert due(history(read(0.1)), connection_id="c", job_id="this", limit=None, now=NOW) is None
    assert due(history(read(0.1), failures=3), connection_id="c", job_id="this", limit=None, now=NOW) is not None


def test_what_an_emptied_ledger_owes_to_the_store() -> None:
    """A connection that was synced, or whose bank was asked in vain, within the day counts as used up."""
    hour = timedelta(hours=1)
    assert forgotten(None, None, NOW) is None
    assert forgotten(NOW - 25 * hour, NOW - 25 * hour, NOW) is None
    assert forgotten(NOW - 3 * hour, None, NOW) == NOW - 3 * hour + ROLLING
    assert forgotten(None, NOW - 3 * hour, NOW) == NOW - 3 * hour + ROLLING
    assert forgotten(NOW - 72 * hour, NOW - 2 * hour, NOW) == NOW - 2 * hour + ROLLING


@given(st.integers(0, 2**32), st.floats(0, 0.6))
def test_never_more_than_the_law_allows(seed: int, failing: float) -> None:
    """Whatever ticks, retries, failures and requests come, no 24 hours hold more than four counted reads."""
    r = random.Random(seed)
    reads: list[CountedRead] = []
    failures, now = 0, NOW
    for number in range(150):
        now += timedelta(minutes=r.choice((1, 5, 60, 239, 240)))
        asks, job = r.choice((P, P, P, P, W, D)), str(number - r.choice((0, 1)))
        known = AccessHistory(tuple(reads), failures)
        if asks is P and due(known, connection_id="c", job_id=job, limit=4, now=now) is not None:
            continue
        if slot(known, asks=asks, limit=4, now=now) is None:
            reads.append(CountedRead(now, asks, "c", job))
            failures = failures + 1 if r.random() < failing else 0
    times = [each.at for each in reads]
    assert all(sum(at <= other <= at + timedelta(hours=24) for other in times) <= 4 for at in times)


def test_seconds_are_waited_for_and_hours_are_a_quota() -> None:
    """A brake of seconds is the retry's; a quota of hours defers."""
    assert not is_quota(NOW + timedelta(seconds=60), NOW)
    assert is_quota(NOW + timedelta(hours=1), NOW)
