"""What a bank's id is worth (banking.md §4.1 and §4.5): blank, placeholder and shared ids are none; a strong id twice
with equal content is page overlap."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from bankimport.models import BankId, IdQuality, Transaction, TransactionStatus

#: What banks write where they have no id, without its punctuation; any number of zeros is one too.
_PLACEHOLDERS: Final = frozenset(
    {"", "notprovided", "notavailable", "notgiven", "nonref", "noref", "none", "null", "nil", "na", "unknown",
     "undefined", "nan"}
)  # fmt: skip
_LONGEST: Final = 128
_NUMBERED: Final = re.compile("[1-9]")

#: namespace and value: what an alias is looked up by, within one account
AliasKey = tuple[str, str]


def key_of(bank_id: BankId) -> AliasKey:
    """Return what an id is looked up by; its quality is no part of it."""
    return bank_id.namespace, bank_id.value


def usable_ids(ids: Iterable[BankId]) -> tuple[BankId, ...]:
    """Return the ids that name something, once each, trimmed. A very long one becomes a digest of itself."""
    result: dict[AliasKey, BankId] = {}
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


def strong_keys(transaction: Transaction) -> list[AliasKey]:
    """Return the keys of the ids that name this one entry."""
    return [(i.namespace, i.value) for i in transaction.ids if i.quality is IdQuality.STRONG]


def content(t: Transaction, kind: object) -> tuple[object, ...]:
    """Return what two reports of one entry have in common when nothing changed between them; ids are no part. `kind` is
    what is to be said of its status."""
    return kind, t.day, t.amount, t.currency, t.counterparty_name, t.counterparty_iban, t.remittance


def tidy(transactions: Sequence[Transaction]) -> list[Transaction]:
    """Return the entries of one read, each once.

    A strong id seen twice is page overlap when the contents are equal (collapsed), the pending form of a booked or
    cancelled entry when only the status differs (dropped), and otherwise a shared id (taken from all that have it).
    A pending entry to which a booked one of the same read links is dropped too.
    """
    first: dict[AliasKey, int] = {}
    repeated: dict[AliasKey, list[int]] = {}
    links: set[AliasKey] = set()
    for index, transaction in enumerate(transactions):
        if transaction.link is not None and transaction.status is TransactionStatus.BOOKED:
            links.add(key_of(transaction.link))
        for key in strong_keys(transaction):
            seen = first.setdefault(key, index)
            if seen != index:
                repeated.setdefault(key, [seen]).append(index)
    if not repeated and not links:
        return list(transactions)
    dropped: set[int] = set()
    shared: set[AliasKey] = set()
    for key, indices in sorted(repeated.items()):
        _settle_repeated(transactions, key, indices, dropped, shared)
    return [
        _without(transaction, shared)
        for index, transaction in enumerate(transactions)
        if index not in dropped and not _is_replaced(transaction, links)
    ]


def _settle_repeated(
    transactions: Sequence[Transaction], key: AliasKey, indices: list[int], dropped: set[int], shared: set[AliasKey]
) -> None:
    distinct: list[int] = []
    for index in indices:
        if index in dropped:
            continue
        if any(_is_overlap(transactions[index], transactions[kept]) for kept in distinct):
            dropped.add(index)
        else:
            distinct.append(index)
    lasting = [i for i in distinct if transactions[i].status is TransactionStatus.BOOKED]
    lasting = lasting or [i for i in distinct if transactions[i].status is TransactionStatus.CANCELLED]
    if len(lasting) == 1:
        replaced = [i for i in distinct if i not in lasting and _agrees(transactions[i], transactions[lasting[0]])]
        dropped.update(replaced)
        distinct = [i for i in distinct if i not in replaced]
    if len(distinct) > 1:
        shared.add(key)


def _is_overlap(one: Transaction, other: Transaction) -> bool:
    """Equal content, and no other strong id that says they are two."""
    if content(one, one.status) != content(other, other.status):
        return False
    theirs = dict(strong_keys(other))
    return all(theirs.get(namespace, value) == value for namespace, value in strong_keys(one))


def _agrees(one: Transaction, other: Transaction) -> bool:
    return one.currency == other.currency and (one.amount == other.amount or one.day == other.day)


def _is_replaced(transaction: Transaction, links: set[AliasKey]) -> bool:
    pending = transaction.status is TransactionStatus.PENDING
    return pending and bool(links) and any(key_of(i) in links for i in transaction.ids)


def _without(transaction: Transaction, shared: set[AliasKey]) -> Transaction:
    if not shared or not any(key_of(i) in shared for i in transaction.ids):
        return transaction
    return replace(transaction, ids=tuple(i for i in transaction.ids if key_of(i) not in shared))
