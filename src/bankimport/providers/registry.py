"""From `BANK_SYNC_BANKS` to providers: ours by their type, others through the entry points `bankimport.providers`."""

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from pydantic import BaseModel

from bankimport.errors import BankImportError, InvalidSettings
from bankimport.ports import BankProvider
from bankimport.providers.berlin_group import BerlinGroup
from bankimport.providers.enable_banking import EnableBanking
from bankimport.providers.gocardless import GoCardless
from bankimport.providers.options import read_options, unknown_field

GROUP = "bankimport.providers"
_OWN: Mapping[str, Callable[..., BankProvider]] = {
    "berlin-group": BerlinGroup,
    "enable-banking": EnableBanking,
    "gocardless": GoCardless,
}


def providers_from_settings(banks: Mapping[str, Mapping[str, Any]]) -> dict[str, BankProvider]:
    """Return a provider for each bank of `BANK_SYNC_BANKS`.

    `type` names the kind; the other fields are its options: those of the model in `options` of the provider's class,
    else its constructor's arguments.

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
    model = getattr(make, "options", None)
    try:
        if isinstance(model, type) and issubclass(model, BaseModel):
            return make(read_options(model, {"name": name, **options}))
        return _by_signature(make, name, options)
    except BankImportError as error:
        raise InvalidSettings(f"BANK_SYNC_BANKS: {name}: {error}") from None


def _by_signature(make: Callable[..., BankProvider], name: str, options: dict[str, Any]) -> BankProvider:
    """Return a provider without a model: the options are its constructor's arguments."""
    parameters = inspect.signature(make).parameters
    for field in options:
        if field not in parameters:
            raise InvalidSettings(unknown_field(field, [*parameters]))
    if "name" in parameters:
        options.setdefault("name", name)
    try:
        return make(**options)
    except (TypeError, ValueError):
        needed = sorted(p.name for p in parameters.values() if p.default is p.empty)
        raise InvalidSettings(f"{', '.join(needed)} must be given, and rightly") from None
