"""Who is whom among accounts, as a pure decision: true identities against random lives of a bank's accounts."""

import random
import time
from dataclasses import dataclass, replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bankimport.imports.accounts import assign
from bankimport.models import AccountReference, BankAccount, Undecided
from bankimport.stores.access_keys import with_keys

IBANS = ("DE89370400440532013000", "GB29NWBK60161331926819", "FR1420041010050500013M02606")
SPELLINGS = (str.lower, str, lambda text: " ".join(text[n : n + 4] for n in range(0, len(text), 4)))


@dataclass
class True_:  # noqa: N801 - an account as it really is
    """An account of the bank's, which is itself whatever it is called."""

    number: str
    name: str
    kind: str | None
    currency: str = "EUR"
    pan: str | None = None
    resource: str = ""
    called: str = ""  # its name in the last list


class Life:
    """A bank's accounts: each number has its own account for ever, a part in dollars perhaps, pots that open and close, and
    cards. Pots have names that no other ever had, and so has whatever is renamed; else even a person couldn't tell."""

    def __init__(self, dice: random.Random) -> None:
        self.dice, self.names, self.resources = dice, count(), count()
        self.consent = 0
        self.has_kinds = dice.random() < 0.7
        self.open: list[True_] = []
        for number in IBANS[: dice.randint(1, 3)]:
            self.open.append(True_(number, self.name(), "CACC" if self.has_kinds else None))
            if dice.random() < 0.4:
                self.open.append(True_(number, self.name(), "CACC" if self.has_kinds else None, "USD"))
        self.fixed = len(self.open)
        self.places = dice.random() < 0.4  # whether resource ids are places in the list
        self.renew()

    def name(self) -> str:
        return f"Konto {next(self.names)}"

    def resource(self) -> str:
        return f"r{next(self.resources)}"

    def renew(self) -> None:
        self.consent += 1
        self.dice.shuffle(self.open[self.fixed :])
        for place, one in enumerate(self.dice.sample(self.open, len(self.open))):
            one.resource = str(place) if self.places else self.resource()

    def happens(self) -> None:
        """Something that happens between two lists."""
        what = self.dice.random()
        pots = self.open[self.fixed :]
        if what < 0.2:
            kind = self.dice.choice(("CACC", "SVGS")) if self.has_kinds else None
            new = True_(self.dice.choice(self.open).number, self.name(), kind)
            if self.dice.random() < 0.3:
                new.pan = f"540912******{self.dice.randint(1000, 9999)}"
            new.resource = f"p{next(self.resources)}"
            self.open.append(new)
        elif what < 0.35 and pots:
            self.open.remove(self.dice.choice(pots))
        elif what < 0.55:
            self.dice.choice(self.open).name = self.name()
        elif what < 0.8:
            self.renew()

    def listed(self) -> list[tuple[True_, BankAccount]]:
        """The list of this moment, in any order, each account spelled in one of its ways."""
        return [(one, self.spelled(one)) for one in self.dice.sample(self.open, len(self.open))]

    def spelled(self, one: True_) -> BankAccount:
        dice, references = self.dice, []
        if dice.random() < 0.8:
            references.append(AccountReference("iban", dice.choice(SPELLINGS)(one.number)))
        if dice.random() < 0.5 or not references:
            references.append(AccountReference("bban", f"{one.number[4:8]}-{one.number[8:]}"))
        if one.pan:
            references.append(AccountReference("maskedPan", one.pan.replace("*", dice.choice("*xX•"))))
        sole = sum(other.number == one.number for other in self.open[: self.fixed]) == 1
        return BankAccount(
            one.resource,
            currency=dice.choice((one.currency, one.currency.lower(), *(("XXX", None) if sole else ()))),
            name=dice.choice((one.name, one.name.upper(), f" {one.name}")),
            kind=one.kind,
            references=tuple(references),
            consent_id=str(self.consent),
        )


def stored(decided: list[BankAccount], away: tuple[BankAccount, ...], numbers: "count[int]") -> list[BankAccount]:
    """What a store has after it carried a decision out."""
    new = [one if one.id else replace(one, id=f"id{next(numbers)}", stable_key="k") for one in decided]
    return [*new, *(replace(one, is_listed=False) for one in away)]


@settings(max_examples=150, deadline=None)
@given(st.integers(min_value=0, max_value=2**32))
def test_nobody_is_mixed_and_the_order_says_nothing(seed: int) -> None:
    """Over renewals, renamings, closings, new pots and other spellings no account is ever taken for another; whatever kept
    its name or its id is recognised; and lists and stored accounts in any order give the same answer."""
    dice = random.Random(seed)
    life, known, numbers = Life(dice), [], count()
    truth: dict[str, True_] = {}
    for _ in range(6):
        listed = life.listed()
        reported = [account for _, account in listed]
        decided = assign(reported, known)
        shuffled = assign(dice.sample(reported, len(reported)), dice.sample(known, len(known)))
        assert sorted(map(repr, decided.accounts)) == sorted(map(repr, shuffled.accounts))
        assert set(decided.accounts) == set(shuffled.accounts)
        assert set(decided.away) == set(shuffled.away)
        before = {id(one) for one in truth.values()}
        for (one, _), account in zip(listed, decided.accounts, strict=True):
            if account.id:
                assert truth[account.id] is one
            elif id(one) in before:  # known, and taken for a new one
                assert account.undecided is not None
                assert one.called != one.name
        known = stored(list(decided.accounts), decided.away, numbers)
        for (one, _), account in zip(listed, known, strict=False):
            truth[account.id] = one
            one.called = one.name
        for _ in range(dice.randint(0, 4)):
            life.happens()


def test_keys_are_never_shared_within_a_connection_and_always_between_connections() -> None:
    """A giro and its pots have a key each, in whatever order they come; a second connection to them gets the same."""
    iban = AccountReference("iban", IBANS[0])
    pots = [BankAccount(f"r{n}", currency="EUR", name=f"Pot {n}", references=(iban,)) for n in range(4)]
    ours = with_keys(assign(pots, []).accounts, (), (), "c1")
    kept = [replace(one, id=f"id-{one.name}") for one in ours]
    theirs = with_keys(assign(list(reversed(pots)), []).accounts, (), kept, "c2")
    assert len({one.stable_key for one in ours}) == 4
    assert {one.name: one.stable_key for one in ours} == {one.name: one.stable_key for one in theirs}
    more = assign([*pots, BankAccount("new", currency="EUR", name="Pot 9", references=(iban,))], kept)
    keyed = with_keys(more.accounts, [one.stable_key for one in kept], (), "c1")
    assert len({one.stable_key for one in keyed}) == 5
    assert not any(IBANS[0] in one.stable_key for one in keyed)


def test_accounts_without_references_share_no_key_over_connections() -> None:
    """A resource id like `1` says nothing about another connection's account of that id."""
    [ours], [theirs] = (with_keys(assign([BankAccount("1")], []).accounts, (), (), owner) for owner in ("c1", "c2"))
    assert ours.stable_key != theirs.stable_key


@pytest.mark.parametrize(("size", "known_as"), [(100, None), (500, Undecided.NAME)], ids=["a hundred", "five hundred"])
def test_many_accounts_of_one_number(size: int, known_as: Undecided | None) -> None:
    """A hundred pots are recognised by their names; a bank that lists five hundred lists nonsense, and holds up nobody."""
    iban = AccountReference("iban", IBANS[0])
    listed = [BankAccount(f"r{n}", name=f"Pot {n}", references=(iban,), consent_id="1") for n in range(size)]
    known = [replace(one, id=f"id{n}", provider_id=f"x{n}", consent_id="0") for n, one in enumerate(listed)]
    began = time.process_time()
    decided = assign(listed, known)
    assert time.process_time() - began < 5
    assert {one.undecided for one in decided.accounts} == {known_as}


@pytest.mark.parametrize("value", ["", "NOTPROVIDED", "0000000", "****", "XXXXXXXX", "12"])
def test_what_names_nothing_is_no_reference(value: str) -> None:
    """Placeholders, zeros, a mask alone and too little of a number."""
    assert list(AccountReference("bban", value).normalised()) == []


def test_no_whole_number_of_a_card_is_kept() -> None:
    """It is masked before it is compared or stored."""
    [kept] = AccountReference("pan", "5409 1234-5678 1234").normalised()
    assert kept == AccountReference("maskedPan", "540912******1234")
