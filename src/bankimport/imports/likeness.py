"""How alike the texts of two entries are. Text only orders candidates of equal money; it is never an identity
(the rules of `docs/explanation/import.md`, "Money before text")."""

import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from bankimport.models import Transaction

_WORD: Final = re.compile(r"\w{2,}")
#: from this share of common words on, two texts match
_MATCHING: Final = 0.5
#: how alike a text and its beginning are
_TRUNCATED: Final = 0.9


class Likeness(IntEnum):
    """What the texts say about two entries being one."""

    CONFLICTING = 0
    WEAK = 1
    MATCHING = 2


@dataclass(frozen=True, slots=True)
class Wording:
    """The texts of an entry, read once for all comparisons. `spelling` is counterparty, IBAN and remittance without
    what a bank changes between two reports: the Unicode form, capitals and blanks."""

    spelling: tuple[str, str, str]
    name: frozenset[str]
    iban: str
    text: frozenset[str]


def wording(transaction: Transaction) -> Wording:
    """Return the words of counterparty and remittance, in one case."""
    name, text = _plain(transaction.counterparty_name), _plain(transaction.remittance)
    iban, words = transaction.counterparty_iban or "", frozenset(_WORD.findall(name))
    return Wording((name, iban, text), words, iban, words | frozenset(_WORD.findall(text)))


def _plain(text: str | None) -> str:
    if not text:
        return ""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def is_same_spelling(one: Wording, other: Wording) -> bool:
    """Return whether two texts are one text, however it is written; one may be cut off."""
    if one.spelling == other.spelling:
        return True
    return all(_begins(a, b) for a, b in zip(one.spelling, other.spelling, strict=True))


def _begins(one: str, other: str) -> bool:
    """Return whether one of two texts is the beginning of the other."""
    return one.startswith(other) or other.startswith(one)


def compare(one: Wording, other: Wording) -> tuple[Likeness, float]:
    """Return what the texts say, and how alike they are from 0 to 1.

    Two counterparties conflict when their IBANs differ, or, where an IBAN is missing, when their names have no word
    in common and neither is the other one cut off.
    """
    if one.spelling == other.spelling:
        return Likeness.MATCHING, 1.0
    common, score = _common(one.text, other.text)
    if is_truncated(one, other):
        return Likeness.MATCHING, max(score, _TRUNCATED)
    if one.iban and other.iban:
        if one.iban != other.iban:
            return Likeness.CONFLICTING, 0.0
        return Likeness.MATCHING, 0.5 + 0.5 * score
    if one.name and other.name and not (one.name & other.text or other.name & one.text):
        return (Likeness.WEAK if _begins(one.spelling[0], other.spelling[0]) else Likeness.CONFLICTING), 0.0
    return (Likeness.MATCHING if common >= _MATCHING else Likeness.WEAK), score


def is_truncated(one: Wording, other: Wording) -> bool:
    """Return whether one text begins as the other, and says something at all."""
    names, texts = (one.spelling[0], other.spelling[0]), (one.spelling[2], other.spelling[2])
    return (all(names) or all(texts)) and is_same_spelling(one, other)


def _common(one: frozenset[str], other: frozenset[str]) -> tuple[float, float]:
    """Return which share the common words are of the shorter text (does it match?) and of both (which does best?)."""
    common = len(one & other)
    if not common:
        return 0.0, 0.0
    return common / min(len(one), len(other)), common / len(one | other)
