"""Whether something was missed: pure, against a model that knows what was written and what was trimmed."""

from hypothesis import given
from hypothesis import strategies as st

from bankimport.stream.gaps import Bounds, resume_after_gap
from bankimport.stream.position import START, Position


@given(
    st.lists(st.booleans(), min_size=1, max_size=30),
    st.integers(0, 30),
    st.integers(0, 30),
    st.booleans(),
)
def test_a_gap_is_told_exactly_when_there_is_one(kinds: list[bool], trimmed: int, seen: int, counted: bool) -> None:
    """With both streams written from one counter, whichever events were trimmed and whoever asks: told if and only if."""
    written = [Position(1000 + number // 3, number + 1) for number in range(len(kinds))]
    events = [position for position, is_event in zip(written, kinds, strict=True) if is_event]
    progress = [position for position, is_event in zip(written, kinds, strict=True) if not is_event]
    held = events[trimmed:]
    after = START if seen == 0 else written[min(seen, len(written)) - 1]
    bounds = Bounds(
        first=held[0] if held else None,
        last_given=events[-1] if events else START,
        length=len(held),
        added=len(events) if counted else None,
    )
    between = sum(after < position < held[0] for position in progress) if held else 0
    resume = resume_after_gap(after, bounds, written[-1], between)
    lost = [position for position in events[:trimmed] if position > after]
    assert (resume is not None) == bool(lost)
    if resume is not None:
        assert all(position > resume for position in held)
        assert all(position <= resume for position in lost)


def test_who_has_seen_more_than_there_is() -> None:
    """An id beyond the last one given is told a gap, and goes on from the end: Redis has lost something."""
    end = Position(5, 7)
    assert resume_after_gap(Position(9, 1), Bounds(end, end, 1, 1), end, 0) == end


def test_nothing_written_yet() -> None:
    """Where nothing was ever written nothing is missing."""
    assert resume_after_gap(START, Bounds(), START, 0) is None
