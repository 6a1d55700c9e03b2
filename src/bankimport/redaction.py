"""What must not be told: tokens, keys, account numbers. Values are looked at as well as names. Pure."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

REDACTED: Final = "[redacted]"
_LONGEST = 2000
_DEEPEST = 6

#: Names whose values are secret whatever they look like; `error_code` and `job_id` are none.
_SECRET_NAMES = re.compile(
    r"(?i)(^|_|-)(password|passwd|secret|token|authorization|cookie|credentials?|api_?key|private_?key|client_?key"
    r"|fernet_?key|iban|psu|consent_id|holder|owner_name|counterparty\w*|remittance)($|_|-)"
)
_CREDENTIAL = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{4,}")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*")
_USER_OF_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s@]+@")
_QUERY_OF_URL = re.compile(r"(?i)\b(https?://[^\s?#\"']+)[?#][^\s\"']*")
_PAIR = re.compile(
    r"(?i)\b(password|passwd|secret|token|access_token|refresh_token|client_secret|api_?key|code)"
    r"(\"?'?\s*[=:]\s*\"?'?)([^\s&,;\"']+)"
)
#: One look that most texts need no more than: each pattern here has one of these.
_SUSPICIOUS = re.compile(r"://|[Bb][Ee][Aa][Rr]|[Bb][Aa][Ss][Ii]|eyJ|[=:]|[A-Z]{2}\d{2}")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b")


def redact(value: Any, name: str = "") -> Any:
    """Return the value without secrets; what is neither text nor a collection stays as it is."""
    return _redacted(value, name, _DEEPEST)


def _redacted(value: Any, name: str, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if name and _is_secret(name):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {key: _redacted(each, str(key), depth - 1) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(each, name, depth - 1) for each in value]
    return redact_text(str(value))


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


def redact_text(text: str) -> str:
    """Return the text without what looks like a secret: tokens, addresses with a user or a query, IBANs."""
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if not _SUSPICIOUS.search(text):
        return text
    text = _USER_OF_URL.sub(rf"\1{REDACTED}@", text)
    text = _QUERY_OF_URL.sub(rf"\1?{REDACTED}", text)
    text = _CREDENTIAL.sub(rf"\1 {REDACTED}", text)
    text = _JWT.sub(REDACTED, text)
    text = _PAIR.sub(rf"\1\2{REDACTED}", text)
    return _IBAN.sub(_without_iban, text)


def _without_iban(found: re.Match[str]) -> str:
    """Replace the longest part that is an IBAN by its check digits; other words of capitals and digits stay."""
    text = found[0]
    for end in range(len(text), 14, -1):
        if is_iban(text[:end]):
            return REDACTED + text[end:]
    return text


def is_iban(text: str) -> bool:
    """Whether the text is an IBAN by its check digits (ISO 7064, mod 97-10)."""
    compact = text.replace(" ", "")
    if not 15 <= len(compact) <= 34 or not compact.isascii() or not compact.isalnum():
        return False
    digits = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
    return int(digits) % 97 == 1
