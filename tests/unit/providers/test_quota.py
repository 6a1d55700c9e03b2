"""Headers of a rate limit, in every spelling, say the same."""

from datetime import UTC, datetime, timedelta

import pytest

from bankimport.models import Quota
from bankimport.providers import quota_of

NOW = datetime(2026, 6, 17, 12, tzinfo=UTC)
NONE_LEFT = Quota(0, NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    "headers",
    [
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "3600"},
        {"x-rate-limit-remaining": " 0 ", "x-rate-limit-reset": "3600"},
        {"RateLimit-Remaining": "0", "RateLimit-Reset": str(int(NOW.timestamp()) + 3600)},
        {"HTTP_X_RATELIMIT_ACCOUNT_SUCCESS_REMAINING": "0", "HTTP_X_RATELIMIT_ACCOUNT_SUCCESS_RESET": "3600"},
        {
            "http_x_ratelimit_remaining": "99",
            "http_x_ratelimit_reset": "30",
            "http_x_ratelimit_account_success_remaining": "0",
            "http_x_ratelimit_account_success_reset": "3600",
        },
        {"RateLimit": "limit=4, remaining=0, reset=3600"},
        {"ratelimit": '"day";r=0;t=3600'},
    ],
    ids=str,
)
def test_every_spelling_says_the_same(headers: dict[str, str]) -> None:
    """Nothing is left for an hour; the account's own quota goes before a general one."""
    assert quota_of(headers, NOW) == NONE_LEFT


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-RateLimit-Remaining": "0"},
        {"X-RateLimit-Reset": "3600"},
        {"X-RateLimit-Remaining": "none", "X-RateLimit-Reset": "3600"},
        {"X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "3600"},
        {"X-RateLimit-Remaining": "٣", "X-RateLimit-Reset": "3600"},
        {"RateLimit": "r=0"},
        {"RateLimit": "r=0;t=3600" + "x" * 1000},
        {"X-RateLimit-Limit": "4", "X-RateLimit-Used": "4"},
    ],
    ids=lambda headers: str(headers)[:60],
)
def test_half_a_word_says_nothing(headers: dict[str, str]) -> None:
    """What doesn't tell how many and until when, in plain digits, is ignored."""
    assert quota_of(headers, NOW) is None


@pytest.mark.parametrize(("reset", "hours"), [("9" * 400, 24), ("0", 0), ("1000000000", 0)])
def test_a_reset_is_at_most_a_day_away_and_never_past(reset: str, hours: int) -> None:
    """A bank that counts in milliseconds, or is years behind, closes nothing for ever."""
    quota = quota_of({"x-ratelimit-remaining": "2", "x-ratelimit-reset": reset}, NOW)
    assert quota == Quota(2, NOW + timedelta(hours=hours))
