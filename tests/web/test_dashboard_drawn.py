"""What the pages draw and write, decided without a page: runs and bars, ribbons, durations, instants."""

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bankimport.events import Event, EventData, JobCompleted, JobFailed, JobRetrying, JobStalled, JobStarted, SyncFailed
from bankimport.models import CoveredDays, JobStatus
from bankimport.status import JobState
from bankimport.web.dashboard.course import bars, runs_of
from bankimport.web.dashboard.formats import Formats
from bankimport.web.dashboard.ribbon import DAYS, ribbon

NOW = datetime(2026, 11, 24, 13, 32, 8, tzinfo=UTC)
TODAY = date(2026, 11, 24)
ENGLISH = Formats("en", ZoneInfo("Europe/Berlin"), NOW)
GERMAN = Formats("de", ZoneInfo("Europe/Berlin"), NOW)


def at(seconds: float) -> datetime:
    """Return an instant after the job was asked for."""
    return NOW + timedelta(seconds=seconds)


def event(seconds: float, data: EventData) -> Event:
    """Return an event as it is read."""
    name, said = data.name, data.model_dump(mode="json", by_alias=True, exclude_none=True)
    return Event(id="1-1", name=name, job_id="j", timestamp=at(seconds), data=said)


def started(seconds: float) -> Event:
    """Return the start of a run."""
    return event(seconds, JobStarted(job_id="j", type="t", timestamp=at(seconds)))


def ran_badly(seconds: float, *, again: bool = True) -> Event:
    """Return the failure of a run."""
    said: dict[str, Any] = {"job_id": "j", "type": "t", "error": "no", "timestamp": at(seconds)}
    return event(seconds, SyncFailed(**said, attempt=1, will_retry=again, error_code="transient"))


def job(state: JobState = JobState.FAILED, **fields: Any) -> JobStatus:
    """Return a record."""
    return JobStatus(id="j", type="t", org_id="o", state=state, queued_at=NOW, **fields)


def test_a_course_of_three_runs() -> None:
    """A failure, a retry, a stall, and a completed run are three bars with their waits, in their order."""
    retrying = event(2, JobRetrying(job_id="j", type="t", attempts_made=1, retry_at=at(7), timestamp=at(2)))
    stalled = event(20, JobStalled(job_id="j", type="t", stalls=1, timestamp=at(20)))
    said = {"job_id": "j", "type": "t", "queued_at": at(0), "started_at": at(21), "completed_at": at(30)}
    completed = event(30, JobCompleted(**said, duration=9000, attempts=3))
    events = [started(1), ran_badly(2), retrying, started(7), stalled, started(21), completed]
    runs = runs_of(events, job(JobState.COMPLETED))
    assert [(run.number, run.end) for run in runs] == [(1, "failed"), (2, "stalled"), (3, "completed")]
    assert runs[0].retry_at == at(7)
    drawn, whole = bars(runs, job(JobState.COMPLETED), at(99))
    assert whole == timedelta(seconds=30)
    assert [bar.x for bar in drawn] == [3.33, 23.33, 70.0]
    assert all(bar.x + bar.width <= 100.01 and bar.wait <= bar.x + 0.01 for bar in drawn)


def test_a_run_that_goes_on_ends_now() -> None:
    """A run that goes on is drawn up to this instant, and has no end."""
    runs = runs_of([started(1)], job(JobState.ACTIVE))
    drawn, whole = bars(runs, job(JobState.ACTIVE), at(11))
    assert (runs[0].end, whole, drawn[0].x + drawn[0].width) == ("", timedelta(seconds=11), 100.0)


def test_a_run_that_was_given_back_is_no_failure() -> None:
    """A run after which another began without a word was given back, by a deploy for example."""
    assert [run.end for run in runs_of([started(1), started(5)], job(JobState.ACTIVE))] == ["over", ""]


@pytest.mark.parametrize(
    ("record", "number", "end"),
    [
        (job(attempts_made=4, processed_on=at(1), finished_on=at(2), failed_reason="no", error_code="c"), 4, "failed"),
        (job(JobState.COMPLETED, processed_on=at(1), finished_on=at(2)), 1, "completed"),
        (job(JobState.ACTIVE, processed_on=at(1)), 1, ""),
        (job(JobState.DELAYED, attempts_made=1, processed_on=at(1)), 2, "over"),
    ],
)
def test_without_events_the_record_tells(record: JobStatus, number: int, end: str) -> None:
    """Where the events are gone, the last run stands in the record."""
    assert [(run.number, run.end) for run in runs_of([], record)] == [(number, end)]


def test_a_job_that_never_ran_has_no_course() -> None:
    """Without a run there is nothing to draw, whatever its events are."""
    failed = event(1, JobFailed(job_id="j", type="t", attempts=0, error="no", timestamp=at(1)))
    assert runs_of([failed], job()) == []
    assert bars([], job(), NOW) == ([], timedelta(0))


def days(since: int, until: int) -> CoveredDays:
    """Return days that were read, counted back from today."""
    return CoveredDays(since=TODAY - timedelta(days=since), until=TODAY - timedelta(days=until))


def test_a_ribbon_with_a_gap() -> None:
    """What is between two reads is a gap; what is before the first is none, and neighbours are one piece."""
    drawn = ribbon([days(60, 41), days(40, 30)], [days(20, 0)], TODAY)
    assert [(piece.since, piece.until) for piece in drawn.gaps] == [
        (TODAY - timedelta(days=29), TODAY - timedelta(days=21))
    ]
    assert (len(drawn.covered), len(drawn.once)) == (1, 1)
    assert drawn.gaps[0].days == 9
    assert round(drawn.once[-1].x + drawn.once[-1].width) == 100


@pytest.mark.parametrize(
    ("coverage", "gaps"), [([], 0), ([days(400, 300)], 1), ([days(90, 1)], 0), ([days(90, 2)], 1), ([days(5, -3)], 0)]
)
def test_the_end_of_a_ribbon(coverage: list[CoveredDays], gaps: int) -> None:
    """Up to yesterday nothing is missing; days that nobody has asked for yet are no gap."""
    assert len(ribbon(coverage, [], TODAY).gaps) == len(ribbon([], coverage, TODAY).gaps) == gaps


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 30)), max_size=8))
def test_a_ribbon_is_never_wider_than_itself(reads: list[tuple[int, int]]) -> None:
    """Pieces and gaps lie within the ribbon, side by side, and cover no day twice."""
    drawn = ribbon([days(since + length, since) for since, length in reads], [], TODAY)
    pieces = sorted((*drawn.covered, *drawn.gaps), key=lambda piece: piece.since)
    assert sum(piece.days for piece in pieces) <= DAYS
    assert all(before.until < after.since for before, after in itertools.pairwise(pieces))
    assert all(piece.x >= 0 and piece.x + piece.width <= 100.02 for piece in pieces)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "40 ms"), (5.34, "5.3 s"), (42, "42 s"), (60, "1 min"), (125, "2 min 5 s"), (9900, "2 h 45 min"), (273_600, "3 d 4 h")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    """A duration has two units at most, with a no-break space."""
    assert ENGLISH.span(timedelta(seconds=seconds)).replace("\N{NO-BREAK SPACE}", " ") == text
    assert GERMAN.span(timedelta(seconds=5.34)) == "5,3\N{NO-BREAK SPACE}s"


@given(st.timedeltas(min_value=timedelta(days=-3), max_value=timedelta(days=4000)))
def test_every_duration_has_a_text(value: timedelta) -> None:
    """Every duration can be written, one that is negative because of two clocks too."""
    assert ENGLISH.span(value)


@pytest.mark.parametrize(
    ("instant", "english", "german"),
    [
        (datetime(2026, 11, 24, 13, 13, 24, tzinfo=UTC), "14:13:24", "14:13:24"),
        (datetime(2026, 11, 24, 15, 0, tzinfo=UTC), "16:00", "16:00"),
        (datetime(2026, 11, 23, 16, 20, 5, tzinfo=UTC), "yesterday 17:20", "gestern 17:20"),
        (datetime(2026, 11, 25, 2, 0, tzinfo=UTC), "tomorrow 03:00", "morgen 03:00"),
        (datetime(2026, 3, 19, 19, 12, tzinfo=UTC), "19 Mar, 20:12", "19. März, 20:12"),
        (datetime(2025, 12, 3, 9, 0, tzinfo=UTC), "3 Dec 2025", "3. Dez. 2025"),
    ],
)
def test_instants(instant: datetime, english: str, german: str) -> None:
    """An instant is written as near as it is, in the schedules' time zone, with its exact value beside it."""
    for formats, text in ((ENGLISH, english), (GERMAN, german)):
        written = formats.at(instant)
        assert f">{text}</time>" in written
        assert datetime.fromisoformat(written.split('"')[3]) == instant


def test_numbers() -> None:
    """Thousands are apart, as the language has it."""
    assert (ENGLISH.number(1_234_567), GERMAN.number(1_234_567)) == ("1,234,567", "1.234.567")
