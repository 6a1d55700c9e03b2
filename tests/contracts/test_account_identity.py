"""Which account is which: what a Berlin Group bank lists, read, stored and recognised, on every store.

A case is a sequence of lists. Each row says in `who` which account it has to become: the same name is the same stored
account, another name another one. `docs/explanation/accounts.md` tells the rules.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bankimport.models import BankConnection
from bankimport.providers.berlin_group_reading import accounts_of
from bankimport.stores import SqlStore
from bankimport.testing.memory_store import MemoryStore
from tests.migrated import upgraded

IBAN = "DE89370400440532013000"
OTHER = "DE02120300000000202051"
BBAN = "370400440532013000"
LASTING = "5f0d1c52-6a0e-4a57-9a55-0c6a3d5a1b{:02}"

Row = dict[str, Any]


def row(who: str, resource: str, **fields: Any) -> Row:
    """One account of a list, in euros and under the IBAN unless it says otherwise; None leaves a field out."""
    given = {"iban": IBAN, "currency": "EUR", "resourceId": resource, **fields}
    return {"who": who, **{name: value for name, value in given.items() if value is not None}}


def giro(resource: str, name: str | None = "Giro", **fields: Any) -> Row:
    """The current account."""
    return row("giro", resource, **{"name": name, "cashAccountType": "CACC", **fields})


def pot(who: str, resource: str, **fields: Any) -> Row:
    """A pot: it has the current account's number, and the kind of one unless it says otherwise."""
    return row(who, resource, **{"name": who, "cashAccountType": "CACC", **fields})


@dataclass(frozen=True)
class Case:
    """Lists in the order in which they are read; a number before a list begins a new consent."""

    says: str
    lists: Sequence[tuple[int, list[Row]]]
    undecided: frozenset[str] = field(default=frozenset())


def case(says: str, *lists: tuple[int, list[Row]], undecided: str = "") -> Case:
    """Write a case in few words."""
    return Case(says, lists, frozenset(undecided.split()))


def card(who: str, resource: str, pan: str, **fields: Any) -> Row:
    """A card, known by its masked number alone unless it says otherwise."""
    return row(who, resource, **{"iban": None, "maskedPan": pan, "cashAccountType": "CARD", **fields})


CASES = [
    # One account: how it is spelled
    case("reordered", (1, [giro("a"), pot("Urlaub", "b")]), (1, [pot("Urlaub", "b"), giro("a")])),
    case("renamed", (1, [giro("a")]), (1, [giro("a", "Konto")])),
    case("renamed at a renewal", (1, [giro("a")]), (2, [giro("x", "Konto")])),
    case("eur for EUR", (1, [giro("a", currency="eur")]), (2, [giro("x")])),
    case("no currency first", (1, [giro("a", currency=None)]), (2, [giro("x")])),
    case("XXX first", (1, [giro("a", currency="XXX")]), (2, [giro("x")])),
    case("its currency left out later", (1, [giro("a")]), (2, [giro("x", currency=None)]), (3, [giro("y")])),
    case("BBAN, then IBAN", (1, [giro("a", iban=None, bban=BBAN)]), (2, [giro("x")])),
    case("IBAN, then BBAN", (1, [giro("a")]), (2, [giro("x", iban=None, bban="37040044 0532013000")])),
    case(
        "a sort code and a number, then IBAN",
        (1, [giro("a", iban=None, bban="60-16-13 31926819")]),
        (2, [giro("x", iban="GB29 NWBK 6016 1331 9268 19")]),
    ),
    case("what it was called before", (1, [giro("a", iban=None, bban="8327-9,123 456 789-0")]),
         (1, [giro("a", iban="SE4550000000058398257466")]), (2, [giro("x", iban=None, bban="8327 9123 4567 890")])),
    case("an IBAN in blanks and small letters", (1, [giro("a", iban="de89 3704 0044 0532 0130 00")]), (2, [giro("x")])),
    case("an IBAN with hyphens", (1, [giro("a", iban="DE89-3704-0044-0532-0130-00")]), (2, [giro("x")])),
    case("an IBAN in wide letters", (1, [giro("a", iban="ＤＥ８９３７０４００４４０５３２０１３０００")]), (2, [giro("x")])),
    case("a masked IBAN, then the whole, while the consent lasts", (1, [giro("a", iban="DE89 3704 XXXX XXXX XX30 00")]), (1, [giro("a")])),
    case("its kind left out first", (1, [giro("a", cashAccountType=None)]), (2, [giro("x")])),
    case("another kind while the consent lasts", (1, [giro("a")]), (1, [giro("a", cashAccountType="TRAN")])),
    case("a product's name in another case", (1, [pot("p", "a", name="Tages  geld"), giro("b")]),
         (2, [pot("p", "x", name="TAGES GELD"), giro("y")])),
    case("listed twice", (1, [giro("a"), giro("a")]), (2, [giro("x"), giro("x")])),
    case("another number", (1, [giro("a")]), (2, [giro("x"), row("other", "y", iban=OTHER)])),
    # Cards and wallets
    case("hyphens in a masked number", (1, [card("c", "a", "5409-12**-****-1234")]),
         (2, [card("c", "x", "5409 12** **** 1234")])),
    case("other mask characters", (1, [card("c", "a", "540912******1234")]), (2, [card("c", "x", "540912xxxxxx1234")]),
         (3, [card("c", "y", "540912••••••1234")])),
    case("a whole number, then a masked one", (1, [row("c", "a", iban=None, pan="5409 1234 5678 1234")]),
         (2, [card("c", "x", "540912XXXXXX1234")])),
    case("two cards of one number and one name",
         (1, [card("c", "a", "540912******1234", iban=IBAN), card("d", "b", "540912******9876", iban=IBAN)]),
         (2, [card("d", "x", "540912******9876", iban=IBAN), card("c", "y", "540912******1234", iban=IBAN)])),
    case("a card and its account, both named after their owner",
         (1, [giro("a", "A. Berg", cashAccountType=None), card("c", "b", "5409******1234", iban=IBAN, name="A. Berg", cashAccountType=None)]),
         (2, [card("c", "x", "5409******1234", iban=IBAN, name="A. Berg", cashAccountType=None), giro("y", "A. Berg", cashAccountType=None)])),
    case("a wallet of a telephone number", (1, [row("w", "a", iban=None, msisdn="+49 170 1234567")]),
         (2, [row("w", "x", iban=None, msisdn="+49 170/1234567")])),
    # Pots: several accounts of one number
    case("a pot added whose name sorts first", (1, [giro("a")]), (1, [giro("a"), pot("Auto", "b")])),
    case("a pot added at a renewal", (1, [giro("a")]), (2, [pot("Auto", "x"), giro("y")])),
    case("a pot renamed while the consent lasts", (1, [giro("a"), pot("p", "b")]), (1, [giro("a"), pot("p", "b", name="A")])),
    case("two pots that swap their names while the consent lasts",
         (1, [giro("a"), pot("p", "b", name="A"), pot("q", "c", name="B")]),
         (1, [giro("a"), pot("p", "b", name="B"), pot("q", "c", name="A")])),
    case("the first pot closed", (1, [pot("Auto", "b"), giro("a"), pot("Urlaub", "c")]), (1, [giro("a"), pot("Urlaub", "c")])),
    case("the first pot closed at a renewal", (1, [pot("Auto", "b"), giro("a"), pot("Urlaub", "c")]),
         (2, [pot("Urlaub", "x"), giro("y")])),
    case("a pot that is away for one list", (1, [giro("a"), pot("Auto", "b")]), (1, [giro("a")]),
         (1, [giro("a"), pot("Auto", "b")])),
    case("a pot closed, and later another of its name while the consent lasts", (1, [giro("a"), pot("old", "b", name="Auto")]),
         (1, [giro("a")]), (1, [giro("a"), pot("new", "c", name="Auto")]), undecided="new"),
    case("a pot that is away for one list and back after a renewal", (1, [giro("a"), pot("Auto", "b")]), (1, [giro("a")]),
         (2, [pot("Auto", "x"), giro("y")])),
    case("nothing listed once", (1, [giro("a"), pot("Auto", "b")]), (1, []), (2, [pot("Auto", "x"), giro("y")])),
    case("a giro renamed and by its BBAN, a new pot by the IBAN", (1, [row("giro", "a", name="Giro")]),
         (2, [row("pot", "x", name="Auto"), row("new", "y", name="Konto", iban=None, bban=BBAN)]), undecided="pot new"),
    case("pots reordered at a renewal", (1, [giro("a"), pot("A", "b"), pot("B", "c")]), (2, [pot("B", "b"), pot("A", "a"), giro("c")])),
    case("a giro renamed at a renewal beside pots of another kind", (1, [giro("a"), pot("A", "b", cashAccountType="SVGS")]),
         (2, [pot("A", "x", cashAccountType="SVGS"), giro("y", "Komfort")])),
    case("a giro renamed at a renewal after its pot was closed", (1, [giro("a"), pot("A", "b")]), (1, [giro("a")]),
         (2, [giro("x", "Komfort")])),
    case("pots of one name told apart by kind", (1, [giro("a", "N"), pot("p", "b", name="N", cashAccountType="SVGS")]),
         (2, [pot("p", "x", name="N", cashAccountType="SVGS"), giro("y", "N")])),
    case("two currencies of one number", (1, [giro("a"), pot("usd", "b", name="Giro", currency="USD")]),
         (2, [pot("usd", "x", name="Konto $", currency="usd"), giro("y", "Konto")])),
    case("the other currency of a number", (1, [giro("a")]), (2, [pot("usd", "x", name="Giro", currency="USD")])),
    case("a number's one account without a currency gets a second while the consent lasts",
         (1, [giro("a", currency="XXX")]), (1, [giro("a"), pot("usd", "b", name="Giro", currency="USD")])),
    # Resource ids
    case("ids that are places in a list, at a renewal", (1, [giro("1"), row("other", "2", iban=OTHER)]),
         (2, [row("other", "1", iban=OTHER), giro("2")])),
    case("ids that are places in a list, while the consent lasts",
         (1, [giro("1"), row("o", "2", iban=OTHER), card("c", "3", "5409******1234")]),
         (1, [giro("1"), card("c", "2", "5409******1234")])),
    case("ids that outlive the consent, and a pot renamed", (1, [giro(LASTING.format(1)), pot("A", LASTING.format(2)), pot("B", LASTING.format(3))]),
         (2, [giro(LASTING.format(1)), pot("A", LASTING.format(2), name="C"), pot("B", LASTING.format(3))])),
    case("nothing but an id, while the consent lasts", (1, [row("r", "a", iban=None)]), (1, [row("r", "a", iban=None)])),
    case("nothing but an id that outlives the consent", (1, [row("r", LASTING.format(1), iban=None)]), (2, [row("r", LASTING.format(1), iban=None)])),
    case("nothing but a place in a list, at a renewal", (1, [row("r", "1", iban=None)]), (2, [row("s", "1", iban=None)])),
    case("no reference at all", (1, [row("r", "a", iban=None, bban="NOTPROVIDED")]), (2, [row("s", "x", iban=None, bban="NOTPROVIDED")])),
    # What can't be decided becomes a new account, and says so
    case("a pot renamed at a renewal", (1, [giro("a"), pot("A", "b")]), (2, [giro("x"), pot("B", "y")]), undecided="B"),
    case("a savings pot renamed at a renewal", (1, [giro("a"), pot("A", "b", cashAccountType="SVGS")]),
         (2, [giro("x"), pot("B", "y", cashAccountType="SVGS")]), undecided="B"),
    case("one pot closed, one opened at a renewal", (1, [giro("a"), pot("A", "b"), pot("B", "c")]),
         (2, [giro("x"), pot("B", "y"), pot("C", "z")]), undecided="C"),
    case("two pots alike at a renewal", (1, [giro("a"), pot("p", "b", name="A"), pot("q", "c", name="A")]),
         (2, [giro("x"), pot("r", "y", name="A"), pot("s", "z", name="A")]), undecided="r s"),
    case("undecided, and the next renewal knows the newer", (1, [giro("a"), pot("A", "b")]), (2, [giro("x"), pot("B", "y")]),
         (3, [pot("B", "m"), giro("n")]), undecided="B"),
    case("a pot alone where the giro was alone", (1, [giro("a")]), (2, [pot("A", "x", cashAccountType="SVGS")]), undecided="A"),
    case("no currency, then two", (1, [giro("a", currency=None)]),
         (2, [row("e", "x", name="Giro"), row("u", "y", name="Giro", currency="USD")]), undecided="e u"),
    case("a masked IBAN, then the whole, at a renewal", (1, [giro("a", iban="DE89 3704 XXXX XXXX XX30 00")]), (2, [row("w", "x")]),
         undecided="w"),
    case("a whole IBAN, then a masked one, at a renewal", (1, [giro("a")]), (2, [row("m", "x", iban="DE89****3000")]), undecided="m"),
    case("another mask of a card's number", (1, [card("c", "a", "540912******1234")]), (2, [card("d", "x", "************1234")]),
         undecided="d"),
    case("another mask of another card's number", (1, [card("c", "a", "540912******1234")]), (2, [card("d", "x", "************9876")])),
    case("a mask that shows the beginning, then one that shows the end", (1, [card("c", "a", "540912**********")]),
         (2, [card("d", "x", "************1234")])),
    case("another mask of a card in another currency", (1, [card("c", "a", "540912******1234")]),
         (2, [card("d", "x", "************1234", currency="USD")])),
    case("another mask of a card that is still listed", (1, [card("c", "a", "540912******1234")]),
         (2, [card("c", "x", "540912******1234"), card("d", "y", "5409********1234")])),
    case("a mask that says less while the consent lasts", (1, [card("c", "a", "540912******1234")]), (1, [card("c", "a", "************1234")])),
    case("another number under an id of the same consent", (1, [giro("a")]), (1, [row("o", "a", iban=OTHER)]), undecided="o"),
]  # fmt: skip

Store = MemoryStore | SqlStore


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """The URL of an empty database of each kind; None for the store in memory."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite+aiosqlite:///{tmp_path}/accounts.db" if request.param == "sqlite" else None


@pytest.fixture
async def store(database: str | None) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    if database is None:
        yield MemoryStore()
        return
    await upgraded(database)
    store = SqlStore(database)
    yield store
    await store.aclose()


async def connected(store: Store, bank: str, consent: str, id: str) -> BankConnection:  # noqa: A002
    """Add a connection."""
    if isinstance(store, MemoryStore):
        store.add(BankConnection(id, "org", bank, consent_id=consent))
    else:
        await store.add_connection(org_id="org", bank=bank, consent_id=consent, id=id)
    connection = await store.connection(id)
    assert connection is not None
    return connection


def named(listed: Sequence[Row], stored: Sequence[Any]) -> dict[str, Any]:
    """Return the stored accounts by the name that the case gives them."""
    whose = {each["resourceId"]: each["who"] for each in listed}
    return {whose[account.provider_id]: account for account in stored}


def body(listed: Sequence[Row]) -> dict[str, Any]:
    """Return the answer of `GET /v1/accounts`."""
    return {"accounts": [{name: value for name, value in each.items() if name != "who"} for each in listed]}


async def what_is_wrong(store: Store, case_: Case, number: int = 0) -> list[str]:
    """Let a store read the lists of a case; return what became of an account that shouldn't have."""
    connection = await connected(store, f"bank-{number}", "1", f"c{number}")
    wrong, known, doubts = [], {}, set()
    for fence, (consent, listed) in enumerate(case_.lists):
        asked = replace(connection, consent_id=str(consent))
        answer = await store.upsert_accounts(asked, accounts_of(body(listed)), fence=fence + 1)
        for who, account in named(listed, answer).items():
            if known.setdefault(who, account).id != account.id:
                wrong.append(f"{case_.says}: {who} is another account")
            if known[who].stable_key != account.stable_key:
                wrong.append(f"{case_.says}: {who} has another key")
            doubts |= {who} if account.undecided else set()
    if len({account.id for account in known.values()}) != len(known):
        wrong.append(f"{case_.says}: two are one")
    if len({account.stable_key for account in await store.accounts(connection.id)}) < len(known):
        wrong.append(f"{case_.says}: two have one key")
    if doubts != case_.undecided:
        wrong.append(f"{case_.says}: undecided are {sorted(doubts)}")
    return wrong


@pytest.mark.parametrize("case_", CASES, ids=lambda case_: case_.says.replace(" ", "-"))
async def test_a_case(case_: Case) -> None:
    """Spelling, order, renaming, closing, renewal and kind: each account stays itself, none becomes another, and what
    can't be decided says so."""
    assert await what_is_wrong(MemoryStore(), case_) == []


async def test_all_cases(store: Store) -> None:
    """The same in one store, of each kind."""
    wrong = [sentence for number, case_ in enumerate(CASES) for sentence in await what_is_wrong(store, case_, number)]
    assert not wrong, "\n".join(wrong)


def test_the_table_is_long_enough() -> None:
    """At least thirty cases, each with a sentence of its own."""
    assert len({case_.says for case_ in CASES}) == len(CASES) >= 30


async def test_two_connections_meet_an_account_at_once(store: Store) -> None:
    """Whoever stores it first, or both at the same moment: the bank's quota of it is counted by one key."""
    ours, theirs = [await connected(store, "bank", name, name) for name in ("c1", "c2")]
    listed = accounts_of(body([giro("a"), pot("Auto", "b"), row("other", "c", iban=OTHER)]))
    answers = await asyncio.gather(
        store.upsert_accounts(ours, listed, fence=1), store.upsert_accounts(theirs, listed[::-1], fence=1)
    )
    first, second = ({account.provider_id: account.stable_key for account in answer} for answer in answers)
    assert first == second
    assert len(set(first.values())) == 3


async def test_another_bank_s_account_of_the_same_number_has_nothing_to_do_with_it(store: Store) -> None:
    """Each bank counts by itself, and an account of another connection is never returned as one of ours."""
    first, second = [await connected(store, f"bank-{name}", name, name) for name in ("1", "2")]
    [ours] = await store.upsert_accounts(first, accounts_of(body([giro("a")])), fence=1)
    [theirs] = await store.upsert_accounts(second, accounts_of(body([giro("a", "Konto")])), fence=1)
    assert ours.id != theirs.id
    assert [account.name for account in await store.accounts(first.id)] == ["Giro"]


async def test_a_list_that_is_read_again_writes_no_second_reference(store: Store) -> None:
    """What is stored is what was returned, references, consent and all, and a second time nothing changes."""
    connection = await connected(store, "bank", "1", "c1")
    listed = accounts_of(body([giro("a", bban=BBAN), card("card", "b", "5409******1234")]))
    first = await store.upsert_accounts(connection, listed, fence=1)
    again = await store.upsert_accounts(connection, listed, fence=1)
    assert (
        {replace(one, references=tuple(sorted(one.references))) for one in first}
        == set(await store.accounts("c1"))
        == {replace(one, references=tuple(sorted(one.references))) for one in again}
    )
    assert all(one.references for one in first)
