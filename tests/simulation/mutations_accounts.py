"""The rules of docs/explanation/accounts.md, each with a way to switch it off and the test that has to turn red.

`MUTATIONS` is a list of (the rule, a context manager in which it is off, the test's node id). A mutation patches modules of
this process: the test has to run in it (`pytest.main([node])` inside of the context).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import count
from typing import Any
from unittest.mock import patch

from bankimport.imports import accounts
from bankimport.models import AccountReference, BankAccount
from bankimport.models import accounts as models
from bankimport.stores import access_keys
from bankimport.testing import memory_store

Mutation = tuple[str, Callable[[], AbstractContextManager[Any]], str]

_TABLE = "tests/contracts/test_account_identity.py::test_a_case"
_JOB = "tests/simulation/test_accounts.py"


def _case(says: str) -> str:
    return f"{_TABLE}[{says.replace(' ', '-')}]"


def _seen(**changes: Callable[[accounts.View], Any]) -> Callable[[], AbstractContextManager[Any]]:
    """Let accounts be compared with other values than theirs."""
    true = accounts.View.__init__

    def init(self: accounts.View, account: BankAccount) -> None:
        true(self, account)
        for name, value in changes.items():
            setattr(self, name, value(self))

    return lambda: patch.object(accounts.View, "__init__", init)


def _wrapped(module: Any, name: str, change: Callable[..., Any]) -> Callable[[], AbstractContextManager[Any]]:
    """Let `change(the function's arguments, its answer)` be the answer of a function."""
    true = getattr(module, name)
    return lambda: patch.object(module, name, lambda *args, **more: change(args, true(*args, **more)))


def _constant(name: str, value: Any, module: Any = accounts) -> Callable[[], AbstractContextManager[Any]]:
    return lambda: patch.object(module, name, value)


@contextmanager
def _no_normal_form() -> Iterator[None]:
    def raw(self: AccountReference) -> Iterator[AccountReference]:
        if self.value:
            yield self

    with patch.object(AccountReference, "normalised", raw):
        yield


@contextmanager
def _no_national_number() -> Iterator[None]:
    true = AccountReference.normalised

    def without(self: AccountReference) -> Iterator[AccountReference]:
        return (one for one in true(self) if one.kind != "bbanOfIban")

    with patch.object(AccountReference, "normalised", without):
        yield


def _first_come(ranks: Any) -> dict[int, int]:
    agreed: dict[int, int] = {}
    for i, j in sorted(ranks, key=lambda pair: ranks[pair], reverse=True):
        if i not in agreed and j not in agreed.values():
            agreed[i] = j
    return agreed


@contextmanager
def _all_are_returned() -> Iterator[None]:
    true = memory_store.MemoryStore.upsert_accounts

    async def with_those_away(self: Any, connection: Any, listed: Any, *, fence: int) -> Any:
        await true(self, connection, listed, fence=fence)
        return await self.accounts(connection.id)

    with patch.object(memory_store.MemoryStore, "upsert_accounts", with_those_away):
        yield


#: where a rank says that the resource id is the same within one consent
_SAME = 4
_consents = count()

MUTATIONS: Sequence[Mutation] = (
    ("references are compared normalised", _no_normal_form, _case("hyphens in a masked number")),
    ("one sign for each mask character", _constant("_MASK", re.compile("[*]"), models), _case("other mask characters")),
    ("an IBAN contains the BBAN", _no_national_number, _case("BBAN, then IBAN")),
    ("the bank's letters in an IBAN are no part of the number", _wrapped(re, "sub", lambda args, answer: args[2] if args[0] == "^[A-Z]{4}" else answer), _case("a sort code and a number, then IBAN")),
    ("placeholders are no reference", _constant("_NUMBERS", frozenset({"iban"}), models), _case("no reference at all")),
    ("the resource id decides while the consent lasts", _seen(consent=lambda view: next(_consents)), _case("two pots that swap their names while the consent lasts")),
    ("a short resource id says nothing after a renewal", _constant("_LASTING", 0), _case("pots reordered at a renewal")),
    ("a long resource id outlives the consent", _constant("_LASTING", 10_000), _case("ids that outlive the consent, and a pot renamed")),
    ("a resource id with nothing else in common gives way", _wrapped(accounts, "_rank", lambda _, rank: rank and (rank[_SAME], *rank)), _case("ids that are places in a list, while the consent lasts")),
    ("another number is another account, whatever its resource id", _wrapped(accounts, "_are_two", lambda args, _: accounts._differ(args[0].currency, args[1].currency)), _case("another number under an id of the same consent")),
    ("two masked numbers are two cards", _seen(kinds=lambda view: view.kinds - {"maskedPan"}, keys=lambda view: {key for key in view.keys if key[0] != "maskedPan"}), _case("two cards of one number and one name")),
    ("a name kept decides among accounts of one number", _seen(name=lambda view: ""), _case("pots reordered at a renewal")),
    ("a reference that only two have decides, whatever the name", _wrapped(accounts, "_count", lambda _, answer: answer + 1), _case("renamed at a renewal")),
    ("all references of a family are looked at", _constant("_FAMILY", {}), _case("a giro renamed and by its BBAN, a new pot by the IBAN")),
    ("two currencies are two accounts", _seen(currency=lambda view: ""), _case("the other currency of a number")),
    ("eur is EUR", _seen(currency=lambda view: view.account.currency or ""), _case("eur for EUR")),
    ("XXX tells nothing", _seen(currency=lambda view: (view.account.currency or "").upper()), _case("XXX first")),
    ("no currency tells nothing", _seen(currency=lambda view: view.currency or "none"), _case("no currency first")),
    ("two kinds are two accounts after a renewal", _seen(kind=lambda view: ""), _case("a pot alone where the giro was alone")),
    ("a number has one current account", _constant("_CURRENT", "none"), _case("a giro renamed at a renewal beside pots of another kind")),
    ("any other kind may have been closed and opened", _wrapped(accounts, "_differ", lambda args, answer: answer and args != ("b", "a")), _case("a savings pot renamed at a renewal")),
    ("what left the list is nobody's rival", _seen(is_listed=lambda view: True), _case("a giro renamed at a renewal after its pot was closed")),
    ("what was seen to close is not what opens", _seen(is_listed=lambda view: True), _case("a pot closed, and later another of its name while the consent lasts")),
    ("whoever has two as good has none", _constant("_agreed", _first_come), _case("two pots alike at a renewal")),
    ("what can't be decided says so", _wrapped(accounts, "_new", lambda _, account: replace(account, undecided=None)), _case("a pot renamed at a renewal")),
    ("a number masked otherwise says so", _constant("_hidden", lambda *views: set()), _case("another mask of a card's number")),
    ("and is no other number", _wrapped(accounts, "_are_two", lambda args, answer: answer or (args[0].kinds & args[1].kinds & {"maskedPan"} and not args[0].keys & args[1].keys)), _case("a mask that says less while the consent lasts")),
    ("what two masks show has to agree", _constant("_agree", lambda *numbers: True), _case("another mask of another card's number")),
    ("four signs of it", _constant("_SHOWN", 0), _case("a mask that shows the beginning, then one that shows the end")),
    ("earlier references are kept", _wrapped(accounts, "_merged", lambda args, account: replace(account, references=args[0].references)), _case("what it was called before")),
    ("a bank's account has one budget over all connections", _wrapped(access_keys, "assign", lambda args, _: accounts.assign(args[0], [])), f"{_JOB}::test_two_connections_share_the_budget_of_their_account_and_of_no_other[memory]"),
    ("no two accounts of a connection share a budget", _wrapped(memory_store, "with_keys", lambda _, answer: [replace(one, stable_key=answer[0].stable_key) for one in answer]), "tests/contracts/test_account_identity.py::test_two_connections_meet_an_account_at_once[memory]"),
    ("what isn't listed isn't asked for", _all_are_returned, f"{_JOB}::test_an_account_that_left_the_list_stays_and_is_not_asked_for[memory]"),
)  # fmt: skip
