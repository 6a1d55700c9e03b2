"""Each entry of a read once: banks overlap their pages, and list what is pending beside what it was booked as."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from bankimport.imports.evidence import may_become
from bankimport.imports.likeness import is_same_spelling, wording
from bankimport.models import IdKey, Transaction, TransactionStatus

#: pages overlap by no more entries than this
_OVERLAP: Final = 100


def marked(page: Sequence[Transaction], before: Sequence[Transaction]) -> list[Transaction]:
    """Return the entries of a page, marked where they may repeat the end of the page `before`: its first entry, or as
    many as repeat in order and are not all alike."""
    if not page or not before:
        return list(page)
    first, echoes = page[0], 0
    for back in range(1, min(len(before), len(page), _OVERLAP) + 1):
        start = before[-back]
        if start.day == first.day and start.amount == first.amount:  # the others are no beginning of a repeat
            ends, starts = [*map(_content, before[-back:])], [*map(_content, page[:back])]
            if ends == starts and (back == 1 or len(set(starts)) > 1):
                echoes = back
    return [replace(entry, may_repeat=True) for entry in page[:echoes]] + list(page[echoes:])


def once(entries: Sequence[Transaction], shared: Collection[str]) -> tuple[list[Transaction], set[str]]:
    """Return the entries of one read, each once, and the namespaces of which an id names different entries.

    The same id, status, day and money is one entry, whatever the spelling, on one page too. In a namespace whose ids
    are `shared` by different entries, in this read or before, two are two but where a page repeats several in order,
    and their id is none: one at the start of a page `may_repeat`, as without an id. The pending form of a booked or
    cancelled entry, told by its id or by a link, is not reported again.
    """
    groups, runs = _repeated(entries), Counter(entry.page for entry in entries if entry.may_repeat)
    dropped: set[int] = set()
    sure: set[int] = set()
    named_twice: set[IdKey] = set()
    found: set[str] = set()
    for key, indices in groups:
        distinct = _distinct(entries, indices)
        dropped.update(_replaced(entries, indices, distinct))
        different = [entries[at].status for at in distinct if at not in dropped]
        if len(different) > len(set(different)):  # a form that is too far from its booked one says nothing of other ids
            found.add(key[0])
    for key, indices in groups:
        here = [at for at in indices if at not in dropped]
        is_shared = key[0] in found or key[0] in shared
        if is_shared:  # two and more that repeat in order are a page that overlaps; a single one may be a twin
            echoes = {at for at in here if entries[at].may_repeat and _repeats_one(entries[at], entries, here)}
            sure.update(at for at in here if at not in echoes)
            kept = [at for at in here if not (at in echoes and runs[entries[at].page] > 1)] or here[:1]
        else:
            kept = _distinct(entries, here)
        dropped.update(set(here) - set(kept))
        if len(kept) > 1:
            named_twice.add(key)
    links = {e.link.key for e in entries if e.link is not None and e.is_booked}
    left = [
        _without(replace(entry, may_repeat=False) if at in sure and entry.may_repeat else entry, named_twice)
        for at, entry in enumerate(entries)
        if at not in dropped and not _is_linked(entry, links)
    ]
    return left, found


def _repeated(entries: Sequence[Transaction]) -> list[tuple[IdKey, list[int]]]:
    """Return the ids that several entries have, with the entries, the fullest text first."""
    first: dict[IdKey, int] = {}
    repeated: dict[IdKey, list[int]] = {}
    for index, entry in enumerate(entries):
        for one in entry.names:
            seen = first.setdefault(one, index)
            if seen != index:
                repeated.setdefault(one, [seen]).append(index)

    def fullest(at: int) -> tuple[object, ...]:
        entry = entries[at]
        return -len(entry.remittance or ""), repr(_texts(entry)), entry.page

    return [(key, sorted(indices, key=fullest)) for key, indices in sorted(repeated.items())]


def _distinct(entries: Sequence[Transaction], indices: Sequence[int]) -> list[int]:
    """Return one of each of the different entries under one id."""
    distinct: list[int] = []
    for at in indices:
        if not any(_is_one(entries[at], entries[other]) for other in distinct):
            distinct.append(at)
    return distinct


def _repeats_one(entry: Transaction, entries: Sequence[Transaction], indices: Sequence[int]) -> bool:
    """Return whether the page before has an entry of this id that is the same in all else, the texts too."""
    return any(entries[at].page == entry.page - 1 and _is_one(entry, entries[at]) for at in indices)


def _is_one(one: Transaction, other: Transaction) -> bool:
    """Status, day and money agree, the text is spelled alike, and no other id says that they are two."""
    if (one.status, one.day, one.money) != (other.status, other.day, other.money):
        return False
    theirs = dict(other.names)
    if any(theirs.get(namespace, value) != value for namespace, value in one.names):
        return False
    return is_same_spelling(wording(one), wording(other))


def _replaced(entries: Sequence[Transaction], indices: Sequence[int], distinct: Sequence[int]) -> list[int]:
    """Return the pending forms of the one booked (or else cancelled) entry of an id."""
    for status in (TransactionStatus.BOOKED, TransactionStatus.CANCELLED):
        lasting = [at for at in distinct if entries[at].status is status]
        if len(lasting) == 1:
            booked = entries[lasting[0]]
            return [at for at in indices if entries[at].status is not status and may_become(entries[at], booked)]
        if lasting:
            return []
    return []


def _is_linked(entry: Transaction, links: set[IdKey]) -> bool:
    pending = entry.status is TransactionStatus.PENDING
    return pending and bool(links) and any(i.key in links for i in entry.ids)


def _without(entry: Transaction, keys: set[IdKey]) -> Transaction:
    if not keys or not any(i.key in keys for i in entry.ids):
        return entry
    return replace(entry, ids=tuple(i for i in entry.ids if i.key not in keys))


def _texts(t: Transaction) -> tuple[object, ...]:
    return t.counterparty_name, t.counterparty_iban, t.remittance


def _content(t: Transaction) -> tuple[object, ...]:
    """What an entry and its repeat have in common; of ids that different entries share only the texts say so."""
    return t.status, t.day, t.money, tuple(sorted(t.names)), _texts(t)
