"""Accounts that come, go and change their names, through the job: rows stay in their account, and the budget too."""

import dataclasses
from datetime import timedelta

from bankimport.commands import SyncConnection
from bankimport.jobs import SyncResult, sync_connection
from bankimport.models import BankAccount, PsuContext, Scope, Undecided
from bankimport.testing.contracts.store import ALWAYS
from bankimport.testing.fakes import FakeRun
from tests.simulation.world import CONNECTION, World, reported

IBAN = "DE89370400440532013000"
GIRO = BankAccount("giro", currency="EUR", iban=IBAN, name="Giro", kind="CACC")
POT = BankAccount("pot", currency="EUR", iban=IBAN, name="Auto", kind="CACC")


def renewed(world: World, *accounts: BankAccount) -> list[BankAccount]:
    """Renew the consent: the bank lists these accounts under new resource ids."""
    world.bank.accounts_answer = [dataclasses.replace(one, provider_id=f"{one.provider_id}-2") for one in accounts]
    return list(world.bank.accounts_answer)


async def amounts(world: World, account_id: str) -> list[str]:
    """Return the amounts stored in an account."""
    [account] = [one for one in await world.store.accounts(CONNECTION.id) if one.id == account_id]
    rows, _ = await world.store.load_rows(account, ALWAYS, ())
    return sorted(str(row.transaction.amount) for row in rows)


def attended() -> FakeRun:
    """Return a run that the person asks for: the list of accounts is read then, and else once a day."""
    return FakeRun(psu=PsuContext("8.8.8.8"))


def ids(result: SyncResult) -> list[str]:
    """Return the accounts of a result."""
    return [account.account_id for account in result.accounts]


async def test_a_pot_whose_name_sorts_first_gets_no_row_of_the_giro(world: World) -> None:
    """Before, it took the giro's place when it was added, and the rows of both stood in one account."""
    world.bank.accounts_answer = [GIRO]
    world.shows(reported("-1.00", ref="of the giro"), account=GIRO)
    [giro] = ids(await world.sync())
    world.bank.accounts_answer = [POT, GIRO]
    world.shows(reported("-2.00", ref="of the pot"), account=POT)
    world.clock.advance(timedelta(hours=8))
    pot, same = ids(await world.sync(attended()))
    assert same == giro != pot
    assert (await amounts(world, giro), await amounts(world, pot)) == (["-1.00"], ["-2.00"])


async def test_an_account_that_left_the_list_stays_and_is_not_asked_for(world: World) -> None:
    """Its rows are kept, the others go on, and when it is listed again it is the same."""
    world.bank.accounts_answer = [GIRO, POT]
    world.shows(reported("-2.00", ref="of the pot"), account=POT)
    giro, pot = ids(await world.sync())
    world.bank.accounts_answer = [GIRO]
    world.bank.calls.clear()
    world.clock.advance(timedelta(hours=8))
    assert ids(await world.sync(attended())) == [giro]
    assert {call[1] for call in world.bank.calls if call[0] in (Scope.TRANSACTIONS, Scope.BALANCES)} == {"giro"}
    assert await amounts(world, pot) == ["-2.00"]
    listed = {account.id: account.is_listed for account in await world.store.accounts(CONNECTION.id)}
    assert listed == {giro: True, pot: False}
    world.bank.accounts_answer = [GIRO, POT]
    world.clock.advance(timedelta(hours=8))
    assert ids(await world.sync(attended())) == [giro, pot]


async def test_what_cant_be_decided_is_said_by_the_job(world: World) -> None:
    """A pot that was renamed, or closed and another opened, while the consent was renewed: a new account, and the result
    says why, in later runs as well; the giro is the same."""
    world.bank.accounts_answer = [GIRO, POT]
    giro, pot = ids(await world.sync())
    await world.add(dataclasses.replace(CONNECTION, consent_id="new"))
    renewed(world, GIRO, dataclasses.replace(POT, name="Urlaub"))
    for _ in range(2):
        world.clock.advance(timedelta(hours=8))
        result = await world.sync()
        first, other = sorted(result.accounts, key=lambda account: account.account_id != giro)
        assert first.account_id == giro
        assert other.account_id not in (giro, pot)
        assert (first.undecided, other.undecided, result.undecided) == (None, Undecided.NAME, 1)


async def test_the_budget_of_an_account_survives_renewals_and_new_names(world: World) -> None:
    """Three reads by request in 24 hours, whatever the account is called and under whatever id it is listed; the fourth
    is the schedule's."""
    keys = set()
    for number, name in enumerate(("Giro", "Konto", "Komfort", "Giro Plus", "Konto", "Giro")):
        await world.add(dataclasses.replace(CONNECTION, consent_id=f"consent-{number}"))
        world.bank.accounts_answer = [dataclasses.replace(GIRO, provider_id=f"giro-{number}", name=name)]
        await world.sync()
        world.clock.advance(timedelta(hours=1))
        keys |= {account.stable_key for account in await world.store.accounts(CONNECTION.id)}
    assert len(keys) == 1
    assert IBAN not in keys.pop()
    assert sum(call[0] is Scope.TRANSACTIONS for call in world.bank.calls) == 3


async def test_two_connections_share_the_budget_of_their_account_and_of_no_other(world: World) -> None:
    """A couple's giro, listed with its pot in one connection, by another name in the other: the bank counts it once."""
    other = dataclasses.replace(CONNECTION, id="connection-2", org_id="org-2", consent_id="other")
    await world.add(other)
    world.bank.accounts_answer = [POT, GIRO]
    await world.sync()
    world.bank.accounts_answer = [dataclasses.replace(GIRO, provider_id="x", iban="de89 3704 0044 0532 0130 00")]
    await sync_connection(
        SyncConnection(connection_id=other.id, org_id=other.org_id),
        FakeRun(org_id=other.org_id, fence=1),
        banks={"bank": world.bank},
        store=world.store,
        ledger=world.ledger,
        clock=world.clock,
    )
    keys = {account.name: account.stable_key for account in await world.store.accounts(CONNECTION.id)}
    [shared] = await world.store.accounts(other.id)
    assert keys["Giro"] == shared.stable_key != keys["Auto"]
