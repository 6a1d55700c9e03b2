"""Which account of a bank's list is which of the stored ones; docs/explanation/accounts.md has it in sentences."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from bankimport.models import AccountReference, BankAccount, Undecided

_FAMILY: Final = {"iban": "number", "bban": "number", "bbanOfIban": "number"}
_CURRENT: Final = "cacc"  # the kind of a number's own account, of which there is one; pots come and go
_LASTING: Final = 16  # a shorter resource id may be a place in the list, and another account's after a renewal
_KEPT: Final = 32  # references of one account
_SHOWN: Final = 4  # what two masked numbers show alike, if they may be one
_CROWD: Final = 100  # what more stored accounts than this have in common names none of them
Rank = tuple[bool, ...]
#: how many accounts of each currency and kind, listed or not, have a reference
Holders = defaultdict[tuple[str, str], Counter[tuple[str, str, bool]]]


@dataclass(frozen=True, slots=True)
class Assignment:
    """`accounts` are the listed ones as they have to be stored, once each, in the bank's order, a new one without `id`;
    `away` are the stored ones that aren't listed."""

    accounts: tuple[BankAccount, ...]
    away: tuple[BankAccount, ...]


class View:
    """An account as it is compared; an empty text tells nothing."""

    def __init__(self, account: BankAccount) -> None:
        given = [*account.references, AccountReference("iban", account.iban or "")]
        given += [] if account.id else [AccountReference("key", account.stable_key)]
        currency = (account.currency or "").strip().upper()
        self.account, self.is_listed = account, account.is_listed
        self.resource, self.consent = account.provider_id, account.consent_id
        self.references = tuple(sorted({one for each in given for one in each.normalised()}))
        self.keys = {(_FAMILY.get(one.kind, one.kind), one.value) for one in self.references}
        self.kinds = {one.kind for one in self.references if one.kind == "maskedPan" or "*" not in one.value}
        self.currency = "" if currency == "XXX" else currency
        self.kind = re.sub(r"\W", "", account.kind or "").casefold()
        self.name = " ".join(unicodedata.normalize("NFKC", account.name or "").casefold().split())
        self.order = (self.references, self.currency, self.kind, account.name or "", account.provider_id)


def assign(reported: Sequence[BankAccount], known: Sequence[BankAccount]) -> Assignment:
    """Return who is whom: by resource id, then by reference, and among those who share one by currency, kind, name."""
    each: dict[str, list[View]] = defaultdict(list)
    for account in reported:  # a resource id that is listed twice is one account
        each[account.provider_id].append(View(account))
    theirs = [max(same, key=lambda view: view.order) for same in each.values()]
    ours = [View(account) for account in known]
    who = _agreed(_ranks(theirs, ours))
    left = [ours[j] for j in sorted(set(range(len(ours))) - set(who.values()))]
    accounts = (_merged(a, ours[who[i]]) if i in who else _new(a, left) for i, a in enumerate(theirs))
    return Assignment(tuple(accounts), tuple(view.account for view in left))


def _merged(a: View, b: View) -> BankAccount:
    """Return the stored account as it is listed now; what isn't told any more stays, and so do earlier references."""
    new, old = a.account, b.account
    told = {name: getattr(new, name) or getattr(old, name) for name in ("iban", "name", "kind")}
    told |= {"provider_id": a.resource, "consent_id": a.consent, "currency": a.currency or old.currency}
    return replace(old, **told, is_listed=True, references=tuple(dict.fromkeys((*a.references, *b.references)))[:_KEPT])


def joined(account: BankAccount, old: BankAccount) -> BankAccount:
    """Return the stored account that somebody has said an undecided one to be: it goes on, as it is listed now."""
    return _merged(View(account), View(old))


def _new(a: View, left: Sequence[View]) -> BankAccount:
    """Return a new account, which says so if it may be one of the stored ones that are no longer listed."""
    doubt = None
    near = [b for b in left if a.keys & b.keys and not _are_two(a, b) and (b.is_listed or a.name == b.name)]
    if any((a.resource, a.consent) == (b.resource, b.consent) for b in left):
        doubt = Undecided.RESOURCE
    elif near:
        doubt = Undecided.KIND if all(_differ(a.kind, b.kind) for b in near) else Undecided.NAME
    elif any(_hidden(a, b) and not _are_two(a, b) for b in left):
        doubt = Undecided.NUMBER
    return replace(a.account, id="", currency=a.currency or None, references=a.references[:_KEPT], undecided=doubt)


def _hidden(a: View, b: View) -> set[str]:
    """Return the families of numbers, of which digits are hidden, that may be the same number."""
    pairs = ((family, one, other) for family, one in a.keys for its, other in b.keys if family == its)
    return {family for family, one, other in pairs if "*" in one + other and _agree(one, other)}


def _agree(one: str, other: str) -> bool:
    """Return whether what both show of a number is the same, at its beginning and at its end: four signs at least."""
    ends = [(text.partition("*")[0], text.rpartition("*")[2]) for text in (one, other)]
    (head, tail), (its_head, its_tail) = ends
    before, after = min(len(head), len(its_head)), min(len(tail), len(its_tail))
    same = head[:before] == its_head[:before] and tail[len(tail) - after :] == its_tail[len(its_tail) - after :]
    return same and before + after >= _SHOWN


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def _are_two(a: View, b: View) -> bool:
    """Return whether currency or references say so: both have one of a kind, and none of its family may be the same."""
    families, kinds = {family for family, _ in a.keys & b.keys} | _hidden(a, b), a.kinds & b.kinds
    told = kinds & {"iban", "maskedPan"} if families else kinds
    return _differ(a.currency, b.currency) or not {_FAMILY.get(kind, kind) for kind in told} <= families


def _ranks(theirs: Sequence[View], ours: Sequence[View]) -> dict[tuple[int, int], Rank]:
    """Return what speaks for each pair, as far as it is enough."""
    at: dict[object, list[int]] = defaultdict(list)
    for j, b in enumerate(ours):
        for key in (b.resource, *b.keys):
            at[key].append(j)
    told = ((i, at[key]) for i, a in enumerate(theirs) for key in (a.resource, *a.keys))
    pairs = {(i, j) for i, found in told if len(found) <= _CROWD for j in found}
    lists, stored = _holders(theirs), _holders(ours)
    ranked = {(i, j): _rank(theirs[i], ours[j], lists, stored) for i, j in pairs}
    return {pair: rank for pair, rank in ranked.items() if rank is not None}


def _rank(a: View, b: View, lists: Holders, stored: Holders) -> Rank | None:
    """Return how strongly it is one account; None where something speaks against it, or nothing decides."""
    same, shared = (a.resource, a.consent) == (b.resource, b.consent), a.keys & b.keys
    if _are_two(a, b) or (_differ(a.kind, b.kind) and not same):
        return None

    def alone(of_a: str, of_b: str) -> bool:
        """Whether the references of one family are theirs alone in their currency, and in these kinds."""
        held = {k: _count(lists[k], b, of_b) == 1 == _count(stored[k], a, of_a, b.is_listed) for k in shared}
        return any(all(held[key] for key in shared if key[0] == family) for family, _ in shared)

    lasting = a.resource == b.resource and len(a.resource) >= _LASTING
    closed = not b.is_listed and a.consent == b.consent is not None  # seen to go, and ids are lasting meanwhile
    named, own = bool(shared and a.name) and a.name == b.name and not closed, alone("", "")
    of_its_kind = (a.kind == b.kind == _CURRENT or not _differ(a.name, b.name)) and alone(a.kind, b.kind) and not closed
    if not (same or lasting or named or own or of_its_kind):
        return None
    near = bool(shared)  # a resource id with nothing else in common gives way to a reference
    return same and near, lasting and near, named, own, same, a.currency == b.currency, a.kind == b.kind, b.is_listed


def _holders(views: Iterable[View]) -> Holders:
    holders: Holders = defaultdict(Counter)
    for each, key in ((view, key) for view in views for key in view.keys):
        holders[key][each.currency, each.kind, each.is_listed] += 1
    return holders


def _count(holders: Counter[tuple[str, str, bool]], other: View, kind: str, listed: bool = False) -> int:  # noqa: FBT001 - private
    """Return how many may have the other's currency and the kind; with `listed`, of those that the last list had."""
    told = ((currency, its, n) for (currency, its, is_listed), n in holders.items() if is_listed or not listed)
    return sum(n for currency, its, n in told if not _differ(currency, other.currency) and not _differ(its, kind))


def _agreed(ranks: Mapping[tuple[int, int], Rank]) -> dict[int, int]:
    """Return the pairs of which neither has another as good: whoever has two is not decided by anything weaker."""
    agreed: dict[int, int] = {}
    ended: tuple[set[int], set[int]] = (set(), set())
    for _, level in groupby(sorted(ranks, key=lambda pair: ranks[pair], reverse=True), key=lambda pair: ranks[pair]):
        pairs = [(i, j) for i, j in level if i not in ended[0] and j not in ended[1]]
        left, right = Counter(i for i, _ in pairs), Counter(j for _, j in pairs)
        agreed |= {i: j for i, j in pairs if left[i] == 1 == right[j]}
        ended[0].update(left)
        ended[1].update(right)
    return agreed
