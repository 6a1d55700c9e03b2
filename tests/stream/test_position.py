"""Positions and names: pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bankimport.errors import InvalidRequest
from bankimport.stream import Position, matches, matches_any

positions = st.builds(Position, st.integers(0, 10**14), st.integers(0, 10**12))


@given(positions)
def test_a_position_is_its_text(position: Position) -> None:
    """What a position prints is parsed to the same position."""
    assert Position.parse(str(position)) == Position.of(str(position).encode()) == position


@given(positions, positions)
def test_positions_compare_as_ids_do(one: Position, other: Position) -> None:
    """Positions are ordered by milliseconds, then by number, as Redis orders ids."""
    assert (one < other) == ((one.ms, one.seq) < (other.ms, other.seq))


@given(positions.filter(lambda position: position > (0, 0)))
def test_before_a_position(position: Position) -> None:
    """What is before a position is smaller."""
    assert position.before() < position


@pytest.mark.parametrize("text", ["", "x", "-1", "1-", "1-2-3", " 1", "1\n", "1e3", "1" * 16, "0-" + "1" * 19, "１-１"])
def test_what_is_no_id_is_refused(text: str) -> None:
    """An id is milliseconds, and a number after a dash; nothing else is taken for one."""
    with pytest.raises(InvalidRequest):
        Position.parse(text)


def test_wildcards() -> None:
    """A name matches itself, its family and everything."""
    assert matches("bank.sync.*", "bank.sync.completed")
    assert matches("*", "bank.job.failed")
    assert matches("bank.job.failed", "bank.job.failed")
    assert not matches("bank.sync.*", "bank.job.completed")
    assert not matches("bank.sync", "bank.sync.completed")
    assert not matches("BANK.*", "bank.job.failed")
    assert matches_any(["bank.batch.*", "bank.job.*"], "bank.job.failed")
    assert not matches_any([], "bank.job.failed")
