"""What is an id: a blank or a placeholder is none, and each is kept in one form."""

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from bankimport.models import BankId

#: What banks write where they have no id, without its punctuation; any number of zeros is one too.
_PLACEHOLDERS: Final = frozenset(
    {"", "notprovided", "notavailable", "notgiven", "nonref", "noref", "none", "null", "nil", "na", "unknown",
     "undefined", "nan"}
)  # fmt: skip
_LONGEST: Final = 128
_NUMBERED: Final = re.compile("[1-9]")


def usable_ids(ids: Iterable[BankId]) -> tuple[BankId, ...]:
    """Return the ids that name something, once each, trimmed. A very long one becomes a digest of itself."""
    result: dict[tuple[str, str], BankId] = {}
    for bank_id in ids:
        usable = usable_id(bank_id)
        if usable is not None:
            result.setdefault((usable.namespace, usable.value), usable)
    return tuple(result.values())


def usable_id(bank_id: BankId) -> BankId | None:
    """Return the id as it is kept; None for one that names nothing."""
    value = bank_id.value
    if not isinstance(value, str):  # hostile input: the provider hands on what the bank sent
        return None
    if not value.isprintable():
        value = "".join(c for c in value if c.isprintable())
    value = value.strip()
    if len(value) < 16 and not _NUMBERED.search(value):
        bare = "".join(c for c in value.casefold() if c.isalnum())
        if bare in _PLACEHOLDERS or not bare.strip("0"):
            return None
    if len(value) > _LONGEST:
        value = "blake2:" + hashlib.blake2b(value.encode(), digest_size=24).hexdigest()
    return bank_id if value == bank_id.value else BankId(bank_id.namespace, value, bank_id.quality)
