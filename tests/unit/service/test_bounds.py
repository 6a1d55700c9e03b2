"""What is away is told to every caller, and to the log once a minute."""

from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from bankimport.errors import StoreUnavailable, Unavailable
from bankimport.service import Bounds, bounds


async def _away(error: Exception) -> None:
    raise error


async def test_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every caller hears of it; the log hears again after a minute, and of each thing by itself."""
    now = 1000.0
    monkeypatch.setattr(bounds, "time", SimpleNamespace(monotonic=lambda: now))
    bound = Bounds(opened=True)
    said = []
    for passed in (0, 1, 58, 2, 1):
        now += passed
        with capture_logs() as logs:
            for error in (Unavailable("Redis"), StoreUnavailable()):
                with pytest.raises(Unavailable):
                    await bound.within(_away(error))
        said.append([line["what"] for line in logs if line["log_level"] == "error"])
    assert said == [["Redis", "the store"], [], [], ["Redis", "the store"], []]
