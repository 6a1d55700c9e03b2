"""What the headers of an answer say about when to ask again, in the several ways in which they are spelled."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from bankimport.models import Quota

#: so long at most a bank's word is believed: a longer one is a mistake, and after a day it is asked again
LONGEST: Final = timedelta(hours=24)
#: from here on a number is no count of seconds but an instant (Unix time)
_UNIX_TIME: Final = 1_000_000_000
#: `X-RateLimit-Remaining`; `HTTP_X_RATELIMIT_ACCOUNT_SUCCESS_REMAINING` of GoCardless, which is the account's own
_HEADER: Final = re.compile(r"(?:http-)?(?:x-)?rate-?limit-(account-success-)?(remaining|reset)")
#: `RateLimit: limit=4, remaining=0, reset=3600` and `"day";r=0;t=3600` (draft-ietf-httpapi-ratelimit-headers)
_FIELD: Final = re.compile(r"(?:^|[;,\s])(?:(r|remaining)|(t|reset))\s*=\s*(\d{1,12})(?=$|[;,\s])")


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return the wait of a `Retry-After` header (RFC 9110 §10.2.3): seconds or an HTTP date; at most a day."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), 86_400))
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(at - now, timedelta(0)), LONGEST)


def quota_of(headers: Mapping[str, str], now: datetime) -> Quota | None:
    """Return what is left of a quota and until when; None if the answer doesn't tell both.

    `headers` are an answer's, in any case. A quota of the account goes before a general one. A reset is a number of
    seconds, or an instant in Unix time, and at most a day away.
    """
    said: dict[tuple[bool, str], int] = {}
    for name, value in headers.items():
        plain, text = name.lower().replace("_", "-"), value.strip()
        match = _HEADER.fullmatch(plain)
        if match is not None and text.isascii() and text.isdigit():
            said[match[1] is not None, match[2]] = int(text[:12])
        elif plain == "ratelimit" and len(text) <= 1000:
            for remaining, _, number in _FIELD.findall(text):
                said.setdefault((False, "remaining" if remaining else "reset"), int(number))
    for of_account in (True, False):
        remaining, reset = said.get((of_account, "remaining")), said.get((of_account, "reset"))
        if remaining is not None and reset is not None:
            return Quota(remaining, _instant(reset, now))
    return None


def _instant(reset: int, now: datetime) -> datetime:
    seconds = reset - int(now.timestamp()) if reset >= _UNIX_TIME else reset
    return now + min(timedelta(seconds=max(seconds, 0)), LONGEST)
