"""The rules of banking.md §4 a second time: on whole lists, slow, and obviously right. It shares no line with the import.

`reference` takes one complete read, what is stored, and what earlier reads have taught; it returns the rows as they
are afterwards. Every rule stands where §4 has it, in its order.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from itertools import pairwise

from bankimport.models import IdQuality, RowStatus, StoredTransaction, Transaction, TransactionStatus, Window

BOOKED, PENDING, CANCELLED = TransactionStatus.BOOKED, TransactionStatus.PENDING, TransactionStatus.CANCELLED
MOVE, FAR, BEFORE, EDGE, LOST_ROWS = 3, 14, -1, 3, 3
BELIEVED, FADING = 0.9, 0.9

Name = tuple[str, str]
Rank = tuple[int, ...]
Ranked = Callable[[Transaction, StoredTransaction], Rank | None]


@dataclass(frozen=True)
class Memory:
    """What earlier reads have taught: what ids were worth, which were shared, and what was put off."""

    worth: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()
    put_off: frozenset[object] = frozenset()


# What texts and ids say


@lru_cache(maxsize=100_000)
def words(*texts: str | None) -> frozenset[str]:
    """The words of texts, however they are spelled."""
    return frozenset(re.findall(r"\w{2,}", " ".join(plain(text) for text in texts)))


@lru_cache(maxsize=100_000)
def plain(text: str | None) -> str:
    """The text in one spelling: NFKC, one case, one blank between words."""
    return " ".join(unicodedata.normalize("NFKC", text or "").casefold().split())


def matches(one: Transaction, other: Transaction) -> bool:
    """Whether half of the words of the shorter text are common."""
    if one.counterparty_iban and one.counterparty_iban == other.counterparty_iban:
        return True
    mine, theirs = (words(t.counterparty_name, t.remittance) for t in (one, other))
    common = len(mine & theirs)
    return not conflicts(one, other) and common > 0 and common >= min(len(mine), len(theirs)) / 2


def conflicts(one: Transaction, other: Transaction) -> bool:
    """Whether the counterparties are two: other IBANs, or names without a word in common."""
    if one.counterparty_iban and other.counterparty_iban:
        return one.counterparty_iban != other.counterparty_iban
    mine, theirs = words(one.counterparty_name), words(other.counterparty_name)
    all_mine, all_theirs = (words(t.counterparty_name, t.remittance) for t in (one, other))
    return bool(mine and theirs) and not (mine & all_theirs or theirs & all_mine)


def is_spelled(one: str | None, other: str | None) -> bool:
    """Whether two texts are one, in other spelling or cut off."""
    mine, theirs = plain(one), plain(other)
    return mine.startswith(theirs) or theirs.startswith(mine)


def is_repeat(one: Transaction, other: Transaction) -> bool:
    """Whether two entries are the same but for the spelling, and no id of another namespace says they are two."""
    same = (one.status, one.day, money(one)) == (other.status, other.day, money(other))
    names = is_spelled(one.counterparty_name, other.counterparty_name) and is_spelled(one.remittance, other.remittance)
    mine, theirs = dict(strong(one)), dict(strong(other))
    return same and names and all(mine[n] == theirs[n] for n in mine.keys() & theirs.keys())


def strong(entry: Transaction) -> list[Name]:
    """The ids that name one entry."""
    return [(i.namespace, i.value) for i in entry.ids if i.quality is IdQuality.STRONG]


def money(entry: Transaction) -> tuple[object, str]:
    """Amount and currency."""
    return entry.amount, entry.currency


# 3. Repeats


@dataclass(frozen=True)
class Entry:
    """One entry of a read: on which page, at which place, and whether it may be a repeat of the page before."""

    page: int
    place: int
    told: Transaction
    doubtful: bool = False


def once(pages: Sequence[Sequence[Transaction]], memory: Memory) -> tuple[list[Entry], frozenset[str]]:
    """Return each entry once, without ids that are none, and the namespaces that are shared."""
    entries = [Entry(n, at, told) for n, page in enumerate(pages) for at, told in enumerate(page)]
    none = {name for name in names_of(entries) if are_different(with_name(entries, name))}
    shared = memory.shared | {namespace for namespace, _ in none}
    entries = [replace(entry, told=without(entry.told, none)) for entry in entries]
    for name in sorted(names_of(entries)):
        entries = without_repeats(entries, name, shared)
        entries = without_pending_forms(entries, name)
    return doubted(entries, pages, memory), shared


def names_of(entries: Iterable[Entry]) -> set[Name]:
    """All ids of these entries."""
    return {name for entry in entries for name in strong(entry.told)}


def with_name(entries: Iterable[Entry], name: Name) -> list[Entry]:
    """The entries that have this id."""
    return [entry for entry in entries if name in strong(entry.told)]


def without(told: Transaction, none: set[Name]) -> Transaction:
    """The entry without ids that are none."""
    return replace(told, ids=tuple(i for i in told.ids if (i.namespace, i.value) not in none))


def are_different(entries: Sequence[Entry]) -> bool:
    """Whether an id names different entries within this read."""
    return any(
        not is_repeat(one.told, other.told) and not is_own_form(one.told, other.told)
        for one in entries
        for other in entries
    )


def is_own_form(one: Transaction, other: Transaction) -> bool:
    """Whether one is the pending form of the other, which has left that state."""
    return (one.status is PENDING) != (other.status is PENDING) and not conflicts(one, other)


def without_repeats(entries: list[Entry], name: Name, shared: frozenset[str]) -> list[Entry]:
    """Equal on two pages is a repeat; on one page too, unless ids of this kind are shared."""
    kept: list[Entry] = []
    for entry in sorted(entries, key=lambda e: order(e.told)):
        is_one = name in strong(entry.told) and any(
            name in strong(other.told)
            and is_repeat(entry.told, other.told)
            and (entry.page != other.page or name[0] not in shared)
            for other in kept
        )
        if not is_one:
            kept.append(entry)
    return kept


def without_pending_forms(entries: list[Entry], name: Name) -> list[Entry]:
    """A booked (or ended) entry and its own pending form are one."""
    named = with_name(entries, name)
    lasting = [entry for entry in named if entry.told.status is not PENDING]
    return [entry for entry in entries if not (lasting and entry in named and entry.told.status is PENDING)]


def doubted(entries: list[Entry], pages: Sequence[Sequence[Transaction]], memory: Memory) -> list[Entry]:
    """Mark what begins a page as the page before ended, without an id: it may be a repeat until a second read has it."""
    doubtful = {
        (n + 1, 0)
        for n, (before, page) in enumerate(pairwise(pages))
        if before and page and not strong(page[0]) and content(before[-1]) == content(page[0])
        if content(page[0]) not in memory.put_off
    }
    return [replace(entry, doubtful=(entry.page, entry.place) in doubtful) for entry in entries]


def content(told: Transaction) -> tuple[object, ...]:
    """What an entry says, ids apart, in one spelling."""
    texts = plain(told.counterparty_name), plain(told.remittance), told.counterparty_iban
    return (told.status, told.day, told.amount, told.currency, *texts)


def order(told: Transaction) -> tuple[str, ...]:
    """An order of entries that depends on nothing but them."""
    return tuple(str(part) for part in (*content(told), told.counterparty_name, told.remittance, told.ids, told.link))


# 1. What ids are worth


def weighed(entries: Sequence[Entry], stored: Sequence[StoredTransaction], memory: Memory) -> Memory:
    """Return the memory with this read's evidence for each namespace."""
    worth = {n: (FADING * agreed, FADING * known) for n, (agreed, known) in memory.worth.items()}
    for name in names_of(entries):
        rows = [row for row in stored if name in strong(row.transaction)]
        monies = {money(row.transaction) for row in rows}
        if not rows or (len(rows) > 1 and len(monies) == 1):
            continue
        for entry in with_name(entries, name):
            told = entry.told
            agrees = len(monies) == 1 and money(told) in monies and not conflicts(told, rows[0].transaction)
            agreed, known = worth.get(name[0], (0.0, 0.0))
            worth[name[0]] = agreed + agrees, known + 1
    return replace(memory, worth=worth)


def believes(memory: Memory, name: Name) -> bool:
    """Whether nine in ten of the known ids of the namespace agreed, the latest reads counting most."""
    agreed, known = memory.worth.get(name[0], (0.0, 0.0))
    return not known or agreed / known >= BELIEVED - 1e-9


# 4. Who is whom


def assign(entries: Sequence[Entry], rows: Sequence[StoredTransaction], rank: Ranked) -> dict[int, str]:
    """Return the matching with the most pairs and, among those, the least ranks: successive shortest paths.

    Ranks are added and compared place by place.
    """
    costs = {}
    for i, entry in enumerate(entries):
        for row in rows:
            cost = rank(entry.told, row)
            if cost is not None:
                costs[i, row.id] = cost
    width = max(map(len, costs.values()), default=0)
    pairs: dict[int, str] = {}
    while path := cheapest_path(costs, pairs, len(entries), (0,) * width):
        pairs.update(path)
    return pairs


def cheapest_path(
    costs: Mapping[tuple[int, str], Rank], pairs: Mapping[int, str], count: int, nothing: Rank
) -> list[tuple[int, str]]:
    """Return the cheapest way to pair one entry more, by Bellman and Ford; empty if there is none."""
    holder = {row: i for i, row in pairs.items()}
    best: dict[int, tuple[Rank, list[tuple[int, str]]]] = {i: (nothing, []) for i in range(count) if i not in pairs}
    found: list[tuple[Rank, list[tuple[int, str]]]] = []
    better = True
    while better:
        better, found = False, []
        for (i, row), cost in sorted(costs.items()):
            if i not in best or pairs.get(i) == row:
                continue
            total = tuple(a + b for a, b in zip(best[i][0], cost, strict=True))
            path = [*best[i][1], (i, row)]
            if row not in holder:
                found.append((total, path))
                continue
            then = holder[row]
            total = tuple(a - b for a, b in zip(total, costs[then, row], strict=True))
            if then not in best or total < best[then][0]:
                best[then], better = (total, path), True
    return min(found)[1] if found else []


@dataclass(frozen=True)
class Ground:
    """What a rank may look at besides entry and row."""

    window: Window
    memory: Memory
    still_pending: frozenset[Name]

    def common(self, told: Transaction, row: StoredTransaction) -> list[Name]:
        """The believed ids that both have."""
        return [n for n in strong(told) if n in strong(row.transaction) and believes(self.memory, n)]

    def protected(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """A believed id with its money, or of its own pending row."""
        kept, common = row.transaction, self.common(told, row)
        off = (told.day - kept.day).days
        if not common or conflicts(told, kept) or not may_become(told, row):
            return None
        if abs(off) > (MOVE if is_before(self.window, kept.day) else FAR):
            return None
        if money(told) == money(kept):
            return (*ended(row), other_kind(told, row), abs(off))
        has_left = not self.still_pending.intersection(common)
        own = row.status is not RowStatus.BOOKED and told.status is BOOKED and BEFORE <= off <= FAR and has_left
        return (*ended(row), other_kind(told, row), abs(off)) if own else None

    def strong_rank(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """Content, id, link, day and move with matching text: each a column, so that the most of the first count."""
        kept, off = row.transaction, abs((told.day - row.transaction.day).days)
        if not may_become(told, row):
            return None
        same_money, same_kind = money(told) == money(kept), not other_kind(told, row)
        column = None
        if same_kind and same_money and content(told)[1:] == content(kept)[1:]:
            column = 0
        elif self.names_it(told, row):
            column = 1
        elif told.link is not None and (told.link.namespace, told.link.value) in strong(kept):
            column = 2 if same_money or off == 0 or row.status is not RowStatus.BOOKED else None
        elif same_money and same_kind and matches(told, kept) and self.is_in(row):
            column = 3 if off == 0 else 4 if off <= MOVE else None
        if column is None:
            return None
        return (*(-int(column == n) for n in range(5)), *ended(row), off)

    def names_it(self, told: Transaction, row: StoredTransaction) -> bool:
        """Whether an id that isn't protected names the row: its money or its day has to agree."""
        kept = row.transaction
        off = abs((told.day - kept.day).days)
        common = any(name in strong(kept) for name in strong(told))
        agrees = off == 0 or (money(told) == money(kept) and off <= MOVE)
        return common and agrees and not conflicts(told, kept)

    def weak_rank(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """Weaker text: the same day, or a move whose texts don't conflict."""
        kept, off = row.transaction, abs((told.day - row.transaction.day).days)
        if money(told) != money(kept) or other_kind(told, row) or off > MOVE or not self.is_in(row):
            return None
        if told.status is CANCELLED or (off and conflicts(told, kept)):
            return None
        return (-int(off == 0), *ended(row), off)

    def far_rank(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """What is left over, of one money and matching text, up to fourteen days apart: the nearest first."""
        kept, off = row.transaction, abs((told.day - row.transaction.day).days)
        if money(told) != money(kept) or other_kind(told, row) or off > FAR or not self.is_in(row):
            return None
        return (off, *ended(row)) if matches(told, kept) and told.status is not CANCELLED else None

    def booked_rank(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """Pending to booked without an id: exact money, -1 to +14 days, the best text, then the nearest day."""
        kept, off = row.transaction, (told.day - row.transaction.day).days
        if told.status is not BOOKED or row.status is RowStatus.BOOKED or money(told) != money(kept):
            return None
        if not BEFORE <= off <= FAR or conflicts(told, kept) or not self.is_in(row):
            return None
        return (*ended(row), -likeness(told, kept), abs(off))

    def edge_rank(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """A row just outside of the window that may have stepped in."""
        kept, off = row.transaction, abs((told.day - row.transaction.day).days)
        if not is_before(self.window, kept.day) or off > MOVE or money(told) != money(kept):
            return None
        return None if other_kind(told, row) or conflicts(told, kept) else (off,)

    def is_in(self, row: StoredTransaction) -> bool:
        """Whether the read says something about the row: in the window, or pending while that is open."""
        if is_before(self.window, row.transaction.day):
            return self.window.until is None and row.status is not RowStatus.BOOKED
        return self.window.until is None or row.transaction.day <= self.window.until


def may_become(told: Transaction, row: StoredTransaction) -> bool:
    """A booked row never becomes pending again."""
    return told.status is BOOKED or row.status is not RowStatus.BOOKED


def other_kind(told: Transaction, row: StoredTransaction) -> int:
    """1 where one is booked and the other isn't."""
    return int((told.status is BOOKED) != (row.status is RowStatus.BOOKED))


def ended(row: StoredTransaction) -> tuple[int]:
    """Live rows go before those that have ended."""
    return (int(row.status is RowStatus.REMOVED or row.deleted_by_user),)


def is_before(window: Window, day: date) -> bool:
    """Whether a day is before the window."""
    return day < window.since


def likeness(one: Transaction, other: Transaction) -> int:
    """How alike two texts are, in thousandths."""
    mine, theirs = (words(t.counterparty_name, t.remittance) for t in (one, other))
    return 1000 * len(mine & theirs) // max(1, len(mine | theirs))


# All of it


@dataclass
class Outcome:
    """The rows as they are afterwards, and what is remembered."""

    rows: list[StoredTransaction]
    memory: Memory


def reference_of_a_part(
    window: Window, pages: Sequence[Sequence[Transaction]], stored: Sequence[StoredTransaction], memory: Memory
) -> Outcome:
    """Return what is stored after a read that broke off: it updates by a believed id of equal money, while no row of
    that money stands nearer, and inserts only ids never seen; it removes nothing."""
    entries, _ = once(pages, memory)
    ground, rows, new = Ground(window, memory, frozenset()), {row.id: row for row in stored}, []
    known = {name for row in stored for name in strong(row.transaction)}
    for entry in sorted(entries, key=lambda e: order(e.told)):
        told = entry.told
        named = [row for row in rows.values() if set(strong(row.transaction)) & set(strong(told))]
        if len(named) == 1 and money(told) == money(named[0].transaction) and ground.protected(told, named[0]):
            off = abs((told.day - named[0].transaction.day).days)
            nearer = [r for r in stored if r is not named[0] and money(r.transaction) == money(told)]
            if not any(abs((told.day - r.transaction.day).days) <= off for r in nearer):
                rows[named[0].id] = became(told, named[0])
        elif strong(told) and not known & set(strong(told)) and told.status is not CANCELLED and inside(window, entry):
            near = [r for r in stored if money(r.transaction) == money(told)]
            if all(abs((told.day - r.transaction.day).days) > FAR for r in near):
                new.append(StoredTransaction(f"new-{len(new)}", RowStatus(told.status.value), told))
    return Outcome([*rows.values(), *new], memory)


def is_cut_off(window: Window, told: Sequence[Transaction], stored: Sequence[StoredTransaction]) -> bool:
    """Whether the oldest three or more stored rows of the window are all absent and nothing older is told."""
    booked = [row for row in stored if row.status is RowStatus.BOOKED and not row.missing_at_bank]
    days = sorted(row.transaction.day for row in booked if within(window, row.transaction.day))
    first = min((entry.day for entry in told if entry.status is BOOKED), default=date.max)
    return len(days) >= LOST_ROWS and first > days[LOST_ROWS - 1]


def within(window: Window, day: date) -> bool:
    """Whether a day is one of these."""
    return window.since <= day and (window.until is None or day <= window.until)


def reference(
    window: Window, pages: Sequence[Sequence[Transaction]], stored: Sequence[StoredTransaction], memory: Memory
) -> Outcome:
    """Return what is stored after one complete read."""
    entries, shared = once(pages, memory)
    memory = weighed(entries, stored, replace(memory, shared=shared))
    still = frozenset(n for entry in entries if entry.told.status is PENDING for n in strong(entry.told))
    ground = Ground(window, memory, still)
    rows, left, pairs = sorted(stored, key=lambda row: row.id), entries, []
    certain = [entry for entry in entries if not entry.doubtful]

    def claim(among: Sequence[Entry], rank: Ranked) -> None:
        nonlocal rows, left
        free = [entry for entry in among if entry in left]
        found = assign(free, rows, rank)
        pairs.extend((free[i], next(row for row in rows if row.id == name)) for i, name in found.items())
        left = [entry for entry in left if not any(entry is one for one, _ in pairs)]
        rows = [row for row in rows if row.id not in found.values()]

    claim(certain, ground.protected)
    claim(entries, ground.strong_rank)
    claim(certain, ground.weak_rank)
    claim(certain, ground.far_rank)
    claim(certain, ground.booked_rank)
    at_edge = [e for e in certain if e in left and (e.told.day - window.since).days < EDGE and inside(window, e)]
    seen_before = [entry for entry in at_edge if content(entry.told) in memory.put_off]
    claim(seen_before, ground.edge_rank)
    waiting = [e for e in at_edge if e in left and any(ground.edge_rank(e.told, row) is not None for row in rows)]
    waiting += [entry for entry in left if entry.doubtful]
    after = [became(entry.told, row) for entry, row in pairs]
    after += [missed(row, rows, entries, ground) for row in rows]
    after += [
        StoredTransaction(f"new-{n}", RowStatus(entry.told.status.value), entry.told)
        for n, entry in enumerate(left)
        if entry not in waiting and entry.told.status is not CANCELLED and inside(window, entry)
    ]
    return Outcome(after, replace(memory, put_off=frozenset(content(entry.told) for entry in waiting)))


def inside(window: Window, entry: Entry) -> bool:
    """Whether the entry is of the days that were asked for."""
    if entry.told.status is PENDING and window.until is None:
        return True
    return not is_before(window, entry.told.day) and (window.until is None or entry.told.day <= window.until)


def became(told: Transaction, row: StoredTransaction) -> StoredTransaction:
    """The row after it was claimed."""
    if told.status is CANCELLED:
        return replace(row, status=RowStatus.REMOVED)
    ids = {(i.namespace, i.value): i for i in (*row.transaction.ids, *told.ids)}
    kept = replace(told, ids=tuple(ids.values()))
    return replace(row, status=RowStatus(told.status.value), transaction=kept, missing_at_bank=0)


def missed(
    row: StoredTransaction, absent: Sequence[StoredTransaction], entries: Sequence[Entry], ground: Ground
) -> StoredTransaction:
    """The row after nobody claimed it: counted as missing where its absence is proven; a pending one ends at two."""
    near = (row.transaction.day - ground.window.since).days < EDGE
    if not ground.is_in(row) or near or row.status is RowStatus.REMOVED or row.missing_at_bank >= 2:
        return row
    missing = row.missing_at_bank + 1
    over = row.status is RowStatus.PENDING and missing >= 2
    return replace(row, missing_at_bank=missing, status=RowStatus.REMOVED if over else row.status)
