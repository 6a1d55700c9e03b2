"""From `BANK_SYNC_BANKS` to providers: ours by their type, others through the entry points `bankimport.providers`."""

import inspect
from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib.metadata import entry_points
from typing import Any

from bankimport.errors import BankImportError, InvalidSettings
from bankimport.ports import BankProvider
from bankimport.providers.berlin_group import BerlinGroup

GROUP = "bankimport.providers"
_OWN: Mapping[str, Callable[..., BankProvider]] = {"berlin-group": BerlinGroup}


def providers_from_settings(banks: Mapping[str, Mapping[str, Any]]) -> dict[str, BankProvider]:
    """Return a provider for each bank of `BANK_SYNC_BANKS`.

    `type` names the kind; the other fields are the constructor's arguments (`max_history_days` a number of days).

    Raises:
        InvalidSettings: naming the bank and the field that is wrong, never a value.
    """
    return {name: _provider(name, dict(options)) for name, options in banks.items()}


def _provider(name: str, options: dict[str, Any]) -> BankProvider:
    kind = options.pop("type", None)
    found = {point.name: point for point in entry_points(group=GROUP)}
    known = sorted({*_OWN, *found})
    if kind not in known:
        raise InvalidSettings(f"BANK_SYNC_BANKS: {name}: type must be one of {', '.join(known)}")
    make = _OWN.get(kind) or found[kind].load()
    allowed = set(inspect.signature(make).parameters)
    if "max_history_days" in options:
        options["max_history"] = timedelta(days=_days(name, options.pop("max_history_days")))
    for field in options:
        if field not in allowed:
            raise InvalidSettings(f"BANK_SYNC_BANKS: {name}: {field} is none of {', '.join(sorted(allowed))}")
    if "name" in allowed:
        options.setdefault("name", name)
    try:
        return make(**options)
    except BankImportError as error:
        raise InvalidSettings(f"BANK_SYNC_BANKS: {name}: {error}") from None
    except (TypeError, ValueError):
        needed = sorted(p.name for p in inspect.signature(make).parameters.values() if p.default is p.empty)
        raise InvalidSettings(f"BANK_SYNC_BANKS: {name}: {', '.join(needed)} must be given, and rightly") from None


def _days(name: str, value: object) -> int:
    if not isinstance(value, int) or not 1 <= value <= 3650:
        raise InvalidSettings(f"BANK_SYNC_BANKS: {name}: max_history_days must be 1 to 3650")
    return value
