"""Whether something was missed: pure, against a model that knows what was written and what was trimmed."""

from hypothesis import given
from hypothesis import strategies as st

from bankimport.stream.gaps import Bounds, group_has_gap, resume_after_gap
from bankimport.stream.position import START, Position


@given(
    st.lists(st.booleans(), min_size=1, max_size=30),
    st.integers(0, 30),
    st.integers(0, 30),
    st.booleans(),
)
def test_no_gap_goes_untold(kinds: list[bool], trimmed: int, seen: int, counted: bool) -> None:
    """Whichever events were trimmed and whoever asks: a loss is told; nothing is told where nothing was trimmed, or to
    who has the first that is held, and who resumes behind a gap is told no second one."""
    written = [Position(1000 + number // 3, 1_000_000 * (number % 3) + 1) for number in range(len(kinds))]
    events = [position for position, is_event in zip(written, kinds, strict=True) if is_event]
    held = events[trimmed:]
    after = START if seen == 0 else written[min(seen, len(written)) - 1]
    bounds = Bounds(
        first=held[0] if held else None,
        last_given=events[-1] if events else START,
        length=len(held),
        added=len(events) if counted else None,
    )
    resume = resume_after_gap(after, bounds, written[-1])
    lost = [position for position in events[:trimmed] if position > after]
    assert resume is not None or not lost or (seen == 0 and not counted)
    if resume is not None:
        assert trimmed > 0 or not counted
        assert not held or after < held[0]
        assert all(position > resume for position in held)
        assert all(position <= resume for position in events[:trimmed])
        assert resume_after_gap(resume, bounds, written[-1]) is None


def test_who_has_seen_more_than_there_is() -> None:
    """An id beyond the last one given is told a gap, and goes on from the end: Redis has lost something."""
    end = Position(5, 7)
    assert resume_after_gap(Position(9, 1), Bounds(end, end, 1, 1), end) == end


def test_nothing_written_yet() -> None:
    """Where nothing was ever written nothing is missing."""
    assert resume_after_gap(START, Bounds(), START) is None


def test_a_server_that_does_not_count() -> None:
    """Redis 6: a group that began with all, or had been given all a moment ago, has lost nothing; others may have."""
    first, end = Position(9, 1), Position(9, 4)
    bounds = Bounds(first, end, 3, None)
    assert not group_has_gap(START, None, bounds)
    assert not group_has_gap(Position(5, 1), None, bounds, end_seen=Position(5, 1))
    assert group_has_gap(Position(5, 1), None, bounds, end_seen=Position(6, 1))
