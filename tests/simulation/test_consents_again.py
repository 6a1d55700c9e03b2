"""Consents renewed between two looks, refused by the bank, or looked at through a provider with a fault."""

import asyncio
import contextlib
import dataclasses
import sys
from datetime import timedelta

import pytest

from bankimport.access.consents import is_syncable
from bankimport.errors import CredentialError, ReauthRequired, Transient
from bankimport.events import ConsentsExpiring, ReauthRequiredEvent
from bankimport.models import BankConnection, Consent, ConsentStatus, Scope
from bankimport.status import ConnectionStatus
from bankimport.testing.fakes import FakeRun
from bankimport.testing.memory_store import MemoryStore
from tests.simulation.test_access_and_consents import consents, reads, refresh
from tests.simulation.world import CARD, CONNECTION, GIRO, World, days_ago

S = ConnectionStatus
refreshing = sys.modules["bankimport.jobs.refresh_consents"]  # the function of that name hides the module


class Killed(BaseException):
    """The worker's process is gone."""


async def test_a_sync_that_learns_of_the_renewal_restores_the_connection(world: World) -> None:
    """A warned connection whose consent turns out to be renewed is active after that sync, not only after the next."""
    await world.add(dataclasses.replace(CONNECTION, consent_valid_until=days_ago(-1)))
    world.bank.consent_answer = Consent(ConsentStatus.VALID, days_ago(-1))
    await refresh(world)
    assert (await world.status())[0] is S.REQUIRES_REAUTH
    world.clock.advance(timedelta(days=3))
    world.bank.consent_answer = Consent(ConsentStatus.VALID, days_ago(-150))
    await world.sync()
    assert await world.status() == (S.ACTIVE, None)


async def test_a_provider_with_a_fault_keeps_nobody_from_being_told(world: World) -> None:
    """An exception that nobody classified is raised only when every organisation has been told."""
    await consents(world, days_ago(-3), days_ago(-3))
    await consents(world, days_ago(-3), org="org-2")
    world.bank.consent_answer = KeyError("a fault of the provider's")
    run = FakeRun()
    with pytest.raises(KeyError):
        await refresh(world, run)
    assert [event.count for event in run.events if isinstance(event, ConsentsExpiring)] == [2, 1]


@pytest.mark.parametrize("reason", ["revoked", "expired", "refused", "action"])
@pytest.mark.parametrize("answer", [Transient("down"), CredentialError(), ReauthRequired("refused", suspicious=True)])
async def test_what_the_bank_refused_stays_refused_until_it_says_otherwise(
    world: World, reason: str, answer: Exception
) -> None:
    """A bank that can't be asked tonight doesn't turn a revoked consent into one that only ends soon."""
    refused = dataclasses.replace(
        CONNECTION, consent_valid_until=days_ago(-5), status=S.REQUIRES_REAUTH, status_reason=reason
    )
    await world.add(refused)
    world.bank.consent_answer = answer
    assert (await refresh(world)).events == []
    assert await world.status() == (S.REQUIRES_REAUTH, reason)
    connection = await world.store.connection(CONNECTION.id)
    assert connection is not None
    assert not is_syncable(connection, world.today)


@pytest.mark.parametrize("by", ["sync", "refresh"])
async def test_a_crash_between_the_event_and_the_mark_loses_neither(world: World, by: str) -> None:
    """Who has to authorise again is told, though the worker dies before the connection is marked."""
    await world.add(dataclasses.replace(CONNECTION, consent_valid_until=days_ago(-5)))
    world.pages(ReauthRequired("revoked"))
    world.bank.consent_answer = Consent(ConsentStatus.REVOKED)
    runs = [FakeRun(), FakeRun()]

    def die(name: str) -> None:
        if name == "set_connection_status":
            raise Killed

    for run, before in zip(runs, (die, lambda name: None), strict=True):
        world.store.before = before
        with contextlib.suppress(Killed, ReauthRequired):
            await (world.sync(run) if by == "sync" else refresh(world, run))
    told = [event for run in runs for event in run.events if isinstance(event, ReauthRequiredEvent)]
    assert told
    assert await world.status() == (S.REQUIRES_REAUTH, "revoked")


async def test_a_bank_that_never_answers_keeps_nobody_from_being_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up after a while, and soon not asked any more; all are told by what the store knows."""
    monkeypatch.setattr(refreshing, "PATIENCE", timedelta(milliseconds=1))
    await consents(world, *[days_ago(-3)] * 45)
    asked = 0

    async def silent(*_: object) -> Consent:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(world.bank, "consent", silent)
    run = await refresh(world)
    assert [event.count for event in run.events if isinstance(event, ConsentsExpiring)] == [45]
    assert asked == refreshing.AT_ONCE


async def test_consents_are_asked_about_some_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand that end in one week have to be looked at in the time of one job."""
    await consents(world, *[days_ago(-3)] * 45)
    busy: list[int] = [0]

    async def slow(connection: BankConnection, psu: object) -> Consent:
        busy.append(busy[-1] + 1)
        for _ in range(3):
            await asyncio.sleep(0)
        busy.append(busy[-1] - 1)
        return Consent(ConsentStatus.VALID, connection.consent_valid_until)

    monkeypatch.setattr(world.bank, "consent", slow)
    await refresh(world)
    assert max(busy) == refreshing.AT_ONCE


@pytest.mark.parametrize("by", ["sync", "refresh"])
async def test_a_renewal_in_the_middle_is_not_undone(by: str) -> None:
    """The person renews while the old consent is being used or looked at: what the bank says of that marks nobody."""
    store = MemoryStore()
    world = World(store)
    old = dataclasses.replace(CONNECTION, consent_id="old", consent_valid_until=days_ago(-1))
    new = dataclasses.replace(CONNECTION, consent_id="new", consent_valid_until=days_ago(-180))
    store.add(old)

    def renew(*_: object) -> Consent:
        store.add(new)
        raise ReauthRequired("expired")

    world.bank.consent_answer = renew
    world.bank.pages[GIRO.provider_id] = renew  # type: ignore[assignment]  # scripted
    if by == "sync":
        with pytest.raises(Transient):
            await world.sync()
    else:
        assert (await refresh(world)).events == []
    assert await store.connection(CONNECTION.id) == new


async def test_a_401_of_every_account_is_confirmed_once(world: World) -> None:
    """However many accounts a bank refuses in one run, it is asked for the consent once."""
    world.bank.accounts_answer = [GIRO, CARD]
    for account in (GIRO, CARD):
        world.pages(ReauthRequired("refused", suspicious=True), account=account)
    with pytest.raises(Transient):
        await world.sync()
    assert reads(world, Scope.CONSENT) == 1
    assert await world.status() == (S.ACTIVE, None)
