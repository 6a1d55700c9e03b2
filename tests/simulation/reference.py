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

from bankimport.models import IdQuality, RowStatus, StoredTransaction, Transaction, TransactionStatus, Window

BOOKED, PENDING, CANCELLED = TransactionStatus.BOOKED, TransactionStatus.PENDING, TransactionStatus.CANCELLED
MOVE, FAR, BEFORE, EDGE, LOST_ROWS = 3, 14, -1, 3, 3
FADING = 0.9
TIER, CANCELS, ENDED = 1_000_000, 10_000_000, 100_000_000

Name = tuple[str, str]
Rank = tuple[int, ...]
Ranked = Callable[[Transaction, StoredTransaction], Rank | None]


@dataclass(frozen=True)
class Worth:
    """How much the ids of a namespace agreed with what is stored, earlier reads counting less; and whether one was
    ever shared."""

    agreed: float = 0.0
    disagreed: float = 0.0
    is_shared: bool = False

    @property
    def is_good(self) -> bool:
        """Whether nine in ten agreed."""
        return self.agreed >= 9 * self.disagreed


@dataclass(frozen=True)
class Memory:
    """What earlier reads have taught: what ids are worth, and what was put off."""

    worth: Mapping[str, Worth] = field(default_factory=dict)
    put_off: tuple[object, ...] = ()


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
    """Whether the texts are one in another spelling, or half of the words of the shorter one are common."""
    if content(one)[4:] == content(other)[4:]:
        return True
    if one.counterparty_iban and one.counterparty_iban == other.counterparty_iban:
        return True
    mine, theirs = (words(t.counterparty_name, t.remittance) for t in (one, other))
    common = len(mine & theirs)
    return not conflicts(one, other) and common > 0 and common >= min(len(mine), len(theirs)) / 2


def conflicts(one: Transaction, other: Transaction) -> bool:
    """Whether the counterparties are two: other IBANs, or names without a word in common that aren't cut off."""
    if one.counterparty_iban and other.counterparty_iban:
        return one.counterparty_iban != other.counterparty_iban
    if is_spelled(one.counterparty_name, other.counterparty_name):
        return False
    mine, theirs = words(one.counterparty_name), words(other.counterparty_name)
    all_mine, all_theirs = (words(t.counterparty_name, t.remittance) for t in (one, other))
    return bool(mine and theirs) and not (mine & all_theirs or theirs & all_mine)


def is_spelled(one: str | None, other: str | None) -> bool:
    """Whether two texts are one, in other spelling or cut off."""
    mine, theirs = plain(one), plain(other)
    return mine.startswith(theirs) or theirs.startswith(mine)


def is_cut_off(one: Transaction, other: Transaction) -> bool:
    """Whether each text is the other's beginning, and one of them says something at all."""
    texts = [
        (one.counterparty_name, other.counterparty_name),
        (one.remittance, other.remittance),
        (one.counterparty_iban, other.counterparty_iban),
    ]
    says = any(plain(mine) and plain(theirs) for mine, theirs in texts[:2])
    return says and all(is_spelled(mine, theirs) for mine, theirs in texts)


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
    """One entry of a read: on which page, at which place, and whether the page before may have had it."""

    page: int
    place: int
    told: Transaction
    may_repeat: bool = False
    run: int = 0


def once(pages: Sequence[Sequence[Transaction]], memory: Memory) -> tuple[list[Entry], frozenset[str]]:
    """Return each entry once, without ids that are none, and the namespaces that are shared."""
    entries = [
        Entry(n, at, told, at < run, run)
        for n, page in enumerate(pages)
        for run in [overlap(pages[n - 1] if n else (), page)]
        for at, told in enumerate(page)
    ]
    names = sorted({name for entry in entries for name in strong(entry.told)})
    shared = {n for n, worth in memory.worth.items() if worth.is_shared}
    shared |= {name[0] for name in names if are_different(with_name(entries, name))}
    forms = [form for name in names for form in pending_forms(entries, name)]
    entries = [entry for entry in entries if entry not in forms]
    none = set()
    for name in names:
        entries = without_repeats(entries, name, is_shared=name[0] in shared)
        none |= {name} if len(with_name(entries, name)) > 1 else set()
    linked = {(e.told.link.namespace, e.told.link.value) for e in entries if e.told.link and e.told.status is BOOKED}
    entries = [e for e in entries if e.told.status is not PENDING or not linked & set(strong(e.told))]
    return [replace(entry, told=without(entry.told, none)) for entry in entries], frozenset(shared)


def overlap(before: Sequence[Transaction], page: Sequence[Transaction]) -> int:
    """How many entries at the head of a page may be those at the end of the page before."""
    for many in range(min(5, len(before), len(page)), 1, -1):
        end, head = [list(map(echo, part)) for part in (before[-many:], page[:many])]
        if end == head and any(one != head[0] for one in head):
            return many
    return int(bool(before and page) and echo(before[-1]) == echo(page[0]))


def echo(told: Transaction) -> tuple[object, ...]:
    """What an entry and its repeat have in common: the texts too, where no id says so."""
    texts = told.counterparty_name, told.counterparty_iban, told.remittance
    return (told.status, told.day, *money(told), sorted(strong(told)) or texts)


def as_told(told: Transaction) -> tuple[object, ...]:
    """What an entry says word by word."""
    texts = told.counterparty_name, told.counterparty_iban, told.remittance
    return (told.status, told.day, *money(told), *texts)


def with_name(entries: Iterable[Entry], name: Name) -> list[Entry]:
    """The entries that have this id."""
    return [entry for entry in entries if name in strong(entry.told)]


def without(told: Transaction, none: set[Name]) -> Transaction:
    """The entry without ids that are none."""
    return replace(told, ids=tuple(i for i in told.ids if (i.namespace, i.value) not in none))


def are_different(entries: Sequence[Entry]) -> bool:
    """Whether an id names different entries of one state within this read."""
    told = [entry.told for entry in entries]
    return any(one.status is other.status and not is_repeat(one, other) for one in told for other in told)


def is_own_form(one: Transaction, other: Transaction) -> bool:
    """Whether one is an earlier state of the other: pending, then cancelled or booked."""
    steps = (PENDING, CANCELLED, BOOKED)
    one, other = sorted((one, other), key=lambda told: steps.index(told.status))
    if one.status is other.status or conflicts(one, other):
        return False
    return BEFORE <= (other.day - one.day).days <= FAR


def without_repeats(entries: list[Entry], name: Name, *, is_shared: bool) -> list[Entry]:
    """Equal on two pages is a repeat; on one page too. Where ids are shared only what repeats several in order is."""
    if is_shared:
        return [one for entry in entries if (one := of_a_shared_name(entry, entries, name)) is not None]

    kept: list[Entry] = []
    for entry in sorted(entries, key=fullest):
        named = with_name(kept, name) if name in strong(entry.told) else []
        if not any(is_repeat(entry.told, other.told) for other in named):
            kept.append(entry)
    return kept


def of_a_shared_name(entry: Entry, entries: Sequence[Entry], name: Name) -> Entry | None:
    """The entry, if it isn't one of several that repeat in order; it may be a repeat only where all of it is equal."""
    if name not in strong(entry.told) or not entry.may_repeat:
        return entry
    before = [other for other in with_name(entries, name) if other.page == entry.page - 1]
    if not any(is_repeat(entry.told, other.told) for other in before):
        return replace(entry, may_repeat=False)
    return None if entry.run > 1 else entry


def fullest(entry: Entry) -> tuple[object, ...]:
    """An order in which the fullest text comes first."""
    told = entry.told
    lengths = -len(told.remittance or ""), -len(told.counterparty_name or "")
    return (*lengths, order(told), entry.page)


def pending_forms(entries: list[Entry], name: Name) -> list[Entry]:
    """A booked (or else ended) entry and its own pending form are one: return the latter."""
    named = with_name(entries, name)
    lasting = [e for e in named if e.told.status is BOOKED] or [e for e in named if e.told.status is CANCELLED]
    if not lasting or any(not is_repeat(one.told, lasting[0].told) for one in lasting):
        return []
    last = lasting[0].told
    return [entry for entry in named if entry.told.status is not last.status and is_own_form(entry.told, last)]


def content(told: Transaction) -> tuple[object, ...]:
    """What an entry says, ids apart, in one spelling."""
    texts = plain(told.counterparty_name), plain(told.remittance), told.counterparty_iban
    return (told.status, told.day, told.amount, told.currency, *texts)


def order(told: Transaction) -> tuple[str, ...]:
    """An order of entries that depends on nothing but them."""
    return tuple(str(part) for part in (*content(told), told.counterparty_name, told.remittance, told.ids, told.link))


# 1. What ids are worth


def measured(entries: Sequence[Entry], stored: Sequence[StoredTransaction]) -> dict[str, Worth]:
    """Return what the ids of this read are worth, by namespace."""
    result: dict[str, Worth] = {}
    for entry in entries:
        for name in strong(entry.told):
            agrees = agreement(entry.told, [row for row in stored if name in strong(row.transaction)])
            if agrees is not None:
                was = result.get(name[0], Worth())
                result[name[0]] = Worth(was.agreed + agrees, was.disagreed + (not agrees))
    return result


def agreement(told: Transaction, rows: Sequence[StoredTransaction]) -> bool | None:
    """Whether an entry agrees with the rows that its id has named; None where they say nothing."""
    monies = {money(row.transaction) for row in rows}
    if len(monies) != 1:
        return False if monies else None
    if len(rows) > 1:
        return None
    (row,) = rows
    if money(told) not in monies:
        return None if other_kind(told, row) else False
    return not conflicts(told, row.transaction)


def remembered(memory: Memory, now: Mapping[str, Worth], shared: frozenset[str]) -> dict[str, Worth]:
    """Return what is remembered of ids after this read."""
    result = {}
    for name in memory.worth.keys() | now.keys() | shared:
        past, this = memory.worth.get(name, Worth()), now.get(name, Worth())
        agreed, disagreed = FADING * past.agreed + this.agreed, FADING * past.disagreed + this.disagreed
        result[name] = Worth(agreed, disagreed, name in shared)
    return result


# 4. Who is whom


def assign(entries: Sequence[Entry], rows: Sequence[StoredTransaction], rank: Ranked) -> dict[int, int]:
    """Return the matching with the most pairs and, among those, the least ranks: successive shortest paths.

    Ranks are added and compared place by place.
    """
    costs = {}
    for i, entry in enumerate(entries):
        for j, row in enumerate(rows):
            cost = rank(entry.told, row)
            if cost is not None:
                costs[i, j] = cost
    width = max(map(len, costs.values()), default=0)
    pairs: dict[int, int] = {}
    while path := cheapest_path(costs, pairs, len(entries), (0,) * width):
        pairs.update(path)
    return pairs


def cheapest_path(
    costs: Mapping[tuple[int, int], Rank], pairs: Mapping[int, int], count: int, nothing: Rank
) -> list[tuple[int, int]]:
    """Return the cheapest way to pair one entry more, by Bellman and Ford; empty if there is none."""
    holder = {row: i for i, row in pairs.items()}
    best: dict[int, tuple[Rank, list[tuple[int, int]]]] = {i: (nothing, []) for i in range(count) if i not in pairs}
    found: list[tuple[Rank, list[tuple[int, int]]]] = []
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
    now: Mapping[str, Worth]

    def believes(self, namespace: str) -> bool:
        """Whether ids of a namespace are believed: by the past, and by this read, which one may contradict."""
        now = self.now.get(namespace, Worth())
        return self.memory.worth.get(namespace, Worth()).is_good and (now.disagreed <= 1 or now.is_good)

    def names(self, told: Transaction, row: StoredTransaction, *, believed: bool) -> bool:
        """Whether an id, believed or not, is common to both and no text conflicts."""
        common = [n for n in strong(told) if n in strong(row.transaction) and self.believes(n[0]) is believed]
        return bool(common) and not conflicts(told, row.transaction) and may_become(told, row)

    def own(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """Protected: a believed id with its money."""
        most = FAR if self.is_in(row) else MOVE
        if money(told) != money(row.transaction) or distance(told, row) > most or other_kind(told, row):
            return None
        return (days_cost(told, row),) if self.names(told, row, believed=True) else None

    def own_pending(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """Protected: a believed id, or a link, of the entry's own pending row, whatever its money."""
        if told.status is not BOOKED or row.status is RowStatus.BOOKED:
            return None
        off = (told.day - row.transaction.day).days
        link = None if told.link is None else (told.link.namespace, told.link.value)
        linked = link in strong(row.transaction) and not conflicts(told, row.transaction)
        named = linked or self.names(told, row, believed=True)
        return (days_cost(told, row),) if named and BEFORE <= off <= FAR else None

    def likely(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """Equal content, an id that isn't believed, the same day or a move with matching text."""
        if not self.may_be(told, row):
            return None
        kept, off = row.transaction, distance(told, row)
        if self.equal(told, row) is not None:
            return self.equal(told, row)
        if off <= FAR and self.names(told, row, believed=False):
            return (TIER + cost(told, row),)
        if not matches(told, kept) or off > MOVE:
            return None
        return ((3 if off else 2) * TIER + cost(told, row),)

    def equal(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """Equal content alone, and hardly less where a text is cut off."""
        kept = row.transaction
        if other_kind(told, row) or told.day != kept.day or money(told) != money(kept):
            return None
        if content(told)[1:] == content(kept)[1:]:
            return (penalty(told, row),)
        return (penalty(told, row) + 1,) if is_cut_off(told, kept) else None

    def weaker(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """The same day whatever the text, or a move whose texts don't conflict."""
        off = distance(told, row)
        if not self.may_be(told, row) or off > MOVE or (off and conflicts(told, row.transaction)):
            return None
        return ((3 if off else 2) * TIER + cost(told, row),)

    def corrected(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """A believed id on the same day at another amount."""
        same_day = distance(told, row) == 0 and not other_kind(told, row)
        return (penalty(told, row),) if same_day and self.names(told, row, believed=True) else None

    def stepped(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """At the window's edge: a booked row just outside that may have stepped in."""
        kept, off = row.transaction, distance(told, row)
        if self.is_inside(kept.day) or row.status is not RowStatus.BOOKED or row.missing_at_bank:
            return None
        if money(told) != money(kept) or other_kind(told, row) or off > MOVE or conflicts(told, kept):
            return None
        return (cost(told, row),)

    def stepped_alike(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """The same with matching text."""
        return self.stepped(told, row) if matches(told, row.transaction) else None

    def far(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """A move by four to fourteen days with matching text: the nearest first."""
        off = distance(told, row)
        if not self.may_be(told, row) or not self.proves_absent(row):
            return None
        if not MOVE < off <= FAR or not matches(told, row.transaction):
            return None
        text = 1000 - likeness(told, row.transaction)
        return (1000 * days_cost(told, row) + text + penalty(told, row),)

    def became(self, told: Transaction, row: StoredTransaction) -> Rank | None:
        """Pending to booked without an id: exact money, -1 to +14 days, the best text, then the nearest day."""
        kept, off = row.transaction, (told.day - row.transaction.day).days
        if told.status is not BOOKED or row.status is RowStatus.BOOKED or money(told) != money(kept):
            return None
        if not BEFORE <= off <= FAR or conflicts(told, kept) or not self.is_in(row):
            return None
        return (cost(told, row),)

    def may_be(self, told: Transaction, row: StoredTransaction) -> bool:
        """Whether the two are of one money and kind, and the row is one that the read tells of."""
        return money(told) == money(row.transaction) and not other_kind(told, row) and self.is_in(row)

    def is_inside(self, day: date) -> bool:
        """Whether a day was asked for."""
        return within(self.window, day)

    def is_in(self, row: StoredTransaction) -> bool:
        """Whether the read tells of the row: its day was asked for, or it is pending while the window is open."""
        open_pending = self.window.until is None and row.status is not RowStatus.BOOKED
        return self.is_inside(row.transaction.day) or open_pending

    def is_at_edge(self, day: date) -> bool:
        """Whether a day is one of the first three that were asked for, or of the last where an end was given."""
        first = 0 <= (day - self.window.since).days < EDGE
        return first or (self.window.until is not None and 0 <= (self.window.until - day).days < EDGE)

    def proves_absent(self, row: StoredTransaction) -> bool:
        """Whether the row is gone if nobody claimed it."""
        is_open = row.status is RowStatus.BOOKED and self.is_at_edge(row.transaction.day)
        return self.is_in(row) and not is_open


def distance(told: Transaction, row: StoredTransaction) -> int:
    """How many days are between them."""
    return abs((told.day - row.transaction.day).days)


def days_cost(told: Transaction, row: StoredTransaction) -> int:
    """The nearer the better, and rather later than earlier."""
    return 2 * distance(told, row) + int(told.day < row.transaction.day)


def cost(told: Transaction, row: StoredTransaction) -> int:
    """The better text first, then the nearer day; ended rows last."""
    return 100 * (1000 - likeness(told, row.transaction)) + days_cost(told, row) + penalty(told, row)


def may_become(told: Transaction, row: StoredTransaction) -> bool:
    """A booked row never becomes pending again."""
    return told.status is BOOKED or row.status is not RowStatus.BOOKED


def other_kind(told: Transaction, row: StoredTransaction) -> int:
    """1 where one is booked and the other isn't."""
    return int((told.status is BOOKED) != (row.status is RowStatus.BOOKED))


def penalty(told: Transaction, row: StoredTransaction) -> int:
    """Rows that are there go before those that have ended or are missing, and what is pending before its end."""
    has_ended = row.status is RowStatus.REMOVED or row.deleted_by_user or row.missing_at_bank > 0
    return ENDED * has_ended + CANCELS * (told.status is CANCELLED)


def likeness(one: Transaction, other: Transaction) -> int:
    """How alike two texts are, in thousandths."""
    if content(one)[4:] == content(other)[4:]:
        return 1000
    mine, theirs = (words(t.counterparty_name, t.remittance) for t in (one, other))
    score = len(mine & theirs) / max(1, len(mine | theirs))
    if one.counterparty_iban and one.counterparty_iban == other.counterparty_iban:
        score = 0.5 + 0.5 * score
    return round(1000 * score)


# All of it


@dataclass
class Outcome:
    """The rows as they are afterwards, what is remembered, and before which day the bank has cut its answer off."""

    rows: list[StoredTransaction]
    memory: Memory
    cut_before: date | None = None


def reference_of_a_part(
    window: Window, pages: Sequence[Sequence[Transaction]], stored: Sequence[StoredTransaction], memory: Memory
) -> Outcome:
    """Return what is stored after a read that broke off: it updates by a believed id of equal money, while no row of
    that money stands nearer, and inserts only ids never seen; it removes nothing."""
    entries, shared = once(pages, memory)
    ground = Ground(window, memory, measured(entries, stored))
    entries = sorted((e for e in entries if not is_stale(e.told, stored, ground)), key=lambda e: order(e.told))
    free, pairs = {row.id: row for row in stored}, list[tuple[Entry, StoredTransaction]]()

    def is_sure(told: Transaction, row: StoredTransaction) -> bool:
        named = [[other for other in stored if name in strong(other.transaction)] for name in strong(told)]
        near = [other for other in free.values() if money(other.transaction) == money(told)]
        nearer = [other for other in near if distance(told, other) < distance(told, row)]
        return all(len(rows) < 2 for rows in named) and money(told) == money(row.transaction) and not nearer

    def claim(rank: Ranked) -> None:
        costs = [(rank(entry.told, row), n, row.id) for n, entry in enumerate(entries) for row in free.values()]
        for _, n, name in sorted((cost, n, name) for cost, n, name in costs if cost is not None):
            if name in free and not any(entries[n] is entry for entry, _ in pairs):
                pairs.append((entries[n], free.pop(name)))

    claim(lambda told, row: ground.own(told, row) if is_told(told, row) else None)
    claim(lambda told, row: ground.own(told, row) if is_sure(told, row) else None)
    claim(lambda told, row: ground.own_pending(told, row) if is_sure(told, row) and named_alike(told, row) else None)
    certain = [became(entry.told, row) for entry, row in pairs]
    known = len(pairs)
    claim(ground.equal)
    certain += [row for _, row in pairs[known:]]
    names = {name for row in free.values() for name in strong(row.transaction)}
    new = []
    for entry in entries:
        told = entry.told
        near = [row for row in free.values() if money(row.transaction) == money(told) and distance(told, row) <= FAR]
        believed = any(ground.believes(namespace) for namespace, _ in strong(told)) and not names & set(strong(told))
        is_new = told.status is not CANCELLED and inside(window, entry) and believed and not near
        if is_new and not any(entry is one for one, _ in pairs):
            new.append(StoredTransaction(f"new-{len(new)}", RowStatus(told.status.value), told))
    return Outcome([*certain, *free.values(), *new], replace(memory, worth=remembered(memory, ground.now, shared)))


def is_told(told: Transaction, row: StoredTransaction) -> bool:
    """Whether the entry says what is stored, word for word."""
    kept = row.transaction
    return as_told(told) == as_told(kept) and set(strong(told)) <= set(strong(kept)) and not row.missing_at_bank


def named_alike(told: Transaction, row: StoredTransaction) -> bool:
    """Whether an id is common to both."""
    return bool(set(strong(told)) & set(strong(row.transaction)))


def cut_off(
    entries: Sequence[Entry], stored: Sequence[StoredTransaction], left: Sequence[StoredTransaction], window: Window
) -> bool:
    """Whether nothing older is told than the three oldest stored rows, these are all absent, and some row is so anew."""
    told = [entry.told.day for entry in entries if entry.told.status is BOOKED and inside(window, entry)]
    old = [row for row in stored if row.status is RowStatus.BOOKED and within(window, row.transaction.day)]
    old = [row for row in old if not told or row.transaction.day <= min(told)]
    old.sort(key=lambda row: (row.transaction.day, row not in left))
    absent = [row for row in old if row in left]
    is_new = any(row.missing_at_bank < 2 for row in absent)
    return len(old) >= LOST_ROWS and is_new and all(row in left for row in old[:LOST_ROWS])


def within(window: Window, day: date) -> bool:
    """Whether a day is one of these."""
    return window.since <= day and (window.until is None or day <= window.until)


def reference(
    window: Window,
    pages: Sequence[Sequence[Transaction]],
    stored: Sequence[StoredTransaction],
    memory: Memory,
    *,
    backwards: bool = False,
) -> Outcome:
    """Return what is stored after one complete read. Of equally good answers it is the one that comes first, or last."""
    entries, shared = once(pages, memory)
    ground = Ground(window, memory, measured(entries, stored))
    entries = [entry for entry in entries if not is_stale(entry.told, stored, ground)]
    doubted, apart = list(memory.put_off), list[StoredTransaction]()
    rows, pairs = sorted(stored, key=lambda row: row.id), list[tuple[Entry, StoredTransaction]]()

    def left(among: Iterable[Entry]) -> list[Entry]:
        return [entry for entry in among if not any(entry is one for one, _ in pairs)]

    def claim(among: Iterable[Entry], rank: Ranked) -> list[Entry]:
        nonlocal rows
        free = sorted(left(among), key=lambda entry: order(entry.told), reverse=backwards)
        rows = sorted(rows, key=lambda row: row.id, reverse=backwards)
        found = assign(free, rows, rank)
        pairs.extend((free[i], rows[j]) for i, j in found.items())
        rows = [row for j, row in enumerate(rows) if j not in found.values()]
        return [free[i] for i in found]

    claim(entries, ground.own)
    claim(entries, ground.own_pending)
    put_off = [e for e in left(entries) if e.may_repeat and not strong(e.told) and not taken(doubted, e)]
    certain = [entry for entry in left(entries) if inside(window, entry) and entry not in put_off]
    for entry in put_off:
        equal = [row for row in rows if ground.equal(entry.told, row)]
        theirs = [one for one in left(certain) if any(ground.equal(one.told, row) for row in equal)]
        if len(equal) > len(theirs):  # one that no other equal entry has
            pairs.append((entry, equal[0]))
            rows.remove(equal[0])
    claim(certain, ground.likely)
    claim(entries, ground.equal)
    claim(certain, ground.weaker)
    if cut_off(entries, stored, rows, window):
        told = [entry.told.day for entry in entries if entry.told.status is BOOKED and inside(window, entry)]
        if not told:
            return reference_of_a_part(window, pages, stored, memory)
        window = Window(min(told), window.until)
        return replace(reference(window, pages, stored, memory, backwards=backwards), cut_before=min(told))
    claim(certain, ground.corrected)
    waiting: list[Entry] = []
    for rank in (ground.stepped_alike, ground.stepped):
        edge = [e for e in certain if ground.is_at_edge(e.told.day) and e.told.status is BOOKED and e not in waiting]
        for entry in claim(edge, rank):
            if not taken(doubted, entry):  # put off, and its row is nobody's until a second read shows it
                waiting.append(entry)
                apart.extend(row for one, row in pairs if one is entry)
                pairs[:] = [(one, row) for one, row in pairs if one is not entry]
    rows += apart
    certain = [entry for entry in certain if entry not in waiting]
    claim(certain, ground.far)
    claim(certain, ground.became)
    after = [became(entry.told, row) for entry, row in pairs]
    after += [missed(row, ground) for row in rows]
    after += [
        StoredTransaction(f"new-{n}", RowStatus(entry.told.status.value), entry.told)
        for n, entry in enumerate(left(certain))
        if entry.told.status is not CANCELLED
    ]
    doubts = tuple(doubt(entry) for entry in [*waiting, *left(put_off)])
    return Outcome(after, Memory(remembered(memory, ground.now, shared), doubts))


def is_stale(told: Transaction, stored: Sequence[StoredTransaction], ground: Ground) -> bool:
    """Whether a pending entry is what was booked under its believed id already: the bank lists it still."""
    if told.status is not PENDING:
        return False
    booked = [
        row for row in stored if row.status is RowStatus.BOOKED and set(strong(row.transaction)) & set(strong(told))
    ]
    return any(
        ground.believes(namespace)
        and (namespace, value) in strong(row.transaction)
        and BEFORE <= (row.transaction.day - told.day).days <= FAR
        and not conflicts(told, row.transaction)
        for row in booked
        for namespace, value in strong(told)
    )


def taken(doubted: list[object], entry: Entry) -> bool:
    """Whether the entry was put off before; each time is good for one."""
    if doubt(entry) not in doubted:
        return False
    doubted.remove(doubt(entry))
    return True


def doubt(entry: Entry) -> tuple[object, ...]:
    """What is remembered of an entry that was put off."""
    return (entry.told.status, entry.told.day, *money(entry.told))


def inside(window: Window, entry: Entry) -> bool:
    """Whether the entry is of the days that were asked for."""
    return within(window, entry.told.day)


def became(told: Transaction, row: StoredTransaction) -> StoredTransaction:
    """The row after it was claimed."""
    if told.status is CANCELLED:
        return replace(row, status=RowStatus.REMOVED)
    ids = {(i.namespace, i.value): i for i in (*row.transaction.ids, *told.ids)}
    kept = replace(told, ids=tuple(ids.values()))
    return replace(row, status=RowStatus(told.status.value), transaction=kept, missing_at_bank=0)


def missed(row: StoredTransaction, ground: Ground) -> StoredTransaction:
    """The row after nobody claimed it: counted as missing where its absence is proven; a pending one ends at two."""
    if not ground.proves_absent(row) or row.status is RowStatus.REMOVED or row.missing_at_bank >= 2:
        return row
    missing = row.missing_at_bank + 1
    over = row.status is RowStatus.PENDING and missing >= 2
    return replace(row, missing_at_bank=missing, status=RowStatus.REMOVED if over else row.status)
