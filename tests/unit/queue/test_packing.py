"""Results are packed for their record, and read back whole; what is damaged or a bomb is no result."""

import contextlib
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bankimport.redis.packing import pack, unpack

ACCOUNT = {"accountId": "acc_500531530020", "outcome": "synced", "isNew": True, "complete": True, "newTransactions": 17}
RESULT = {"connectionId": "three-000000001", "success": True, "accountsSynced": 3, "accounts": [ACCOUNT] * 3}


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_what_is_packed_is_read_back(text: str) -> None:
    """Any text comes back as it was."""
    assert unpack(pack(text)) == text


def test_a_result_is_much_smaller() -> None:
    """The result of three accounts takes less than a third."""
    text = json.dumps(RESULT, separators=(",", ":"))
    assert len(pack(text)) * 3 < len(text)


def test_plain_json_is_read_as_it_is() -> None:
    """A script writes a batch's result as plain JSON."""
    assert unpack(b'{"totalConnections":3}') == '{"totalConnections":3}'


@given(st.binary(max_size=200))
def test_damage_is_a_value_error(noise: bytes) -> None:
    """Garbage behind the version is refused or is a text, and nothing else."""
    with contextlib.suppress(ValueError):
        assert isinstance(unpack(b"\x01" + noise), str)


def test_a_bomb_is_cut_off() -> None:
    """A few KB that would become a hundred MB are refused."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -12)
    bomb = b"\x01" + deflate.compress(bytes(100_000_000)) + deflate.flush()
    with pytest.raises(ValueError, match="too large"):
        unpack(bomb)
