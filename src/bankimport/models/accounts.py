"""An account at a bank: as it is reported, and as it is stored."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

#: what is written for a digit that is hidden, after `upper()`
_MASK: Final = re.compile("[X*×•●·∙#]")
_NUMBERS: Final = frozenset({"iban", "bban", "pan", "maskedPan", "msisdn"})


class Undecided(StrEnum):
    """Why an account that may be a stored one became a new one: rows of two accounts are never mixed on a guess."""

    #: it shares a reference with stored accounts that have left the list, and no name says which of them it is
    NAME = "name"
    #: it shares a reference with a stored account of another kind that has left the list
    KIND = "kind"
    #: its resource id named an account with another number or currency before, within the same consent
    RESOURCE = "resource"
    #: digits of a number are hidden, and it may be that of a stored account that has left the list
    NUMBER = "number"


@dataclass(frozen=True, slots=True, order=True)
class AccountReference:
    """Something that names an account beyond its consent. `kind` is `iban`, `bban`, `pan`, `maskedPan`, `msisdn`, or a
    word of the provider's (`identification_hash`), whose values are compared as they are."""

    kind: str
    value: str = field(repr=False)

    def normalised(self) -> "Iterator[AccountReference]":
        """Yield the reference as it is compared and kept; nothing where it names nothing.

        Of a number the letters and digits stay, with one sign for each that is hidden. An IBAN contains the national
        number, after the bank's letters in some countries. No card's number is kept whole.
        """
        if self.kind not in _NUMBERS:
            text = self.value.strip()
            if 0 < len(text) <= 128:
                yield AccountReference(self.kind, text)
            return
        upper = unicodedata.normalize("NFKC", self.value).upper()
        text = "".join(c for c in _MASK.sub("*", upper) if c.isalnum() or c == "*")
        read = text.replace("*", "")
        if len(text) > 128 or len(read) < 4 or len(set(read)) == 1 or not any(c.isdigit() for c in read):
            return  # NOTPROVIDED, zeros, a mask alone
        if self.kind == "pan":
            yield AccountReference("maskedPan", f"{text[:6]}{'*' * (len(text) - 10)}{text[-4:]}")
            return
        yield AccountReference(self.kind, text)
        if self.kind == "iban":
            for part in {text[4:], re.sub("^[A-Z]{4}", "", text[4:])}:
                yield AccountReference("bbanOfIban", part)


@dataclass(frozen=True, slots=True)
class BankAccount:
    """An account at the bank.

    `provider_id` is the bank's resource id and dies with the consent, `consent_id`. `stable_key` is, in a reported
    account, the provider's own lasting name of it, where it has one, and counts as a reference; in a stored one it is
    ours, never changes, and the bank's quota is counted by it. `id` is ours, and empty until the store has given one.
    `is_listed`: the bank's latest list has it; else it is kept, and nothing is asked for it. `undecided` says why the
    account, when it was new, couldn't be told from a stored one.
    """

    provider_id: str
    stable_key: str = field(default="", repr=False)
    currency: str | None = None
    iban: str | None = field(default=None, repr=False)
    name: str | None = field(default=None, repr=False)
    kind: str | None = None
    id: str = ""
    references: tuple[AccountReference, ...] = field(default=(), repr=False)
    consent_id: str | None = field(default=None, repr=False)
    is_listed: bool = True
    undecided: Undecided | None = None
