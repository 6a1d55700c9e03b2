"""The banks that a provider can connect."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Institution:
    """One bank: `id` is what the provider calls it. `longest_consent` is None where it isn't known; `required_headers`
    are those of the person without which the bank doesn't answer; `methods` the ways in which a person authorises."""

    id: str
    name: str
    country: str
    longest_consent: timedelta | None = None
    required_headers: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
