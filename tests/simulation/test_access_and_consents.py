"""What people complain about in such software (banking.md §2), as sentences: access, accounts, consents, crashes."""

import dataclasses
import itertools
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from bankimport.commands import RefreshConsents, SyncAllOrg
from bankimport.errors import (
    AccountUnavailable,
    ConnectionDisconnected,
    ConsentExpired,
    CredentialError,
    LeaseLost,
    RateLimited,
    ReauthRequired,
    StoreUnavailable,
    Transient,
    UnattendedRefused,
    UnknownConnection,
    Unsupported,
)
from bankimport.events import ConnectionRevoked, ConsentsExpiring, ReauthRequiredEvent
from bankimport.jobs import DEFERRED, AccountOutcome, refresh_consents, sync_all_org
from bankimport.models import (
    Balance,
    Capabilities,
    Consent,
    ConsentStatus,
    Page,
    PsuContext,
    Quota,
    Scope,
    Stage,
)
from bankimport.reading import BalanceVerdict
from bankimport.status import ConnectionStatus
from bankimport.testing.fakes import FakeRun
from tests.simulation.world import CARD, CONNECTION, GIRO, TODAY, World, days_ago, renewed, reported
from tests.soak import SOAK

S = ConnectionStatus
PERSON = PsuContext("8.8.8.8", "Firefox")


def reads(world: World, scope: Scope = Scope.TRANSACTIONS) -> int:
    """How often the bank was asked for a scope."""
    return sum(call[0] is scope for call in world.bank.calls)


@pytest.mark.parametrize("failing", [0.0, 0.2])
async def test_never_more_than_four_unattended_reads(world: World, failing: float) -> None:
    """In 60 days of ticks (20 in CI) with failures no 24 hours hold more than 4 reads; a healthy bank is read 3 times a
    day."""
    r = random.Random(5)
    world.shows(reported("-3.50", ref="a"))
    times: list[datetime] = []
    for tick in range((60 if SOAK else 20) * 6):
        world.clock.now = datetime(2026, 3, 10, tzinfo=UTC) + tick * timedelta(hours=4)
        world.clock.advance(timedelta(seconds=r.randrange(0, 90)))
        for wait in (0, 5, 10, 20):
            world.clock.advance(timedelta(seconds=wait))
            world.pages(*([Transient("down")] if r.random() < failing else [[reported("-3.50", ref="a")]]))
            before = reads(world)
            try:
                await world.sync(scheduled=True)
            except Transient:
                times.append(world.clock())
                continue
            times += [world.clock()] * (reads(world) - before)
            break
    for at in times:
        assert sum(at <= other < at + timedelta(hours=24) for other in times) <= 4
    per_day = Counter(at.date() for at in times)
    if not failing:
        assert set(per_day.values()) == {3}
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert max(gaps) <= timedelta(hours=8, minutes=2)


async def test_a_quota_defers(world: World) -> None:
    """A 429 of hours defers the account: neither success nor failure, and no other read before its time."""
    world.pages(RateLimited(scope=Scope.TRANSACTIONS, retry_after=timedelta(hours=6)))
    result = await world.sync()
    until = world.clock() + timedelta(hours=6)
    assert [(d.scope, d.until) for d in result.deferred] == [(Scope.TRANSACTIONS, until)]
    assert (result.success, result.accounts_synced, result.accounts[0].outcome) == (False, 0, AccountOutcome.DEFERRED)
    world.shows(reported("-3.50"))
    await world.sync()
    assert reads(world) == 1
    world.clock.now = until
    assert (await world.sync(scheduled=True, triggered_by=DEFERRED)).accounts_synced == 1


async def test_what_a_bank_says_is_left_is_believed(world: World) -> None:
    """A bank that allows one read and says so with it is asked for the next when it says, not four times a day."""
    until = world.clock() + timedelta(hours=20)
    world.pages(Page((reported("-3.50"),), quota=Quota(0, until)))
    assert (await world.sync()).accounts_synced == 1
    [deferred] = (await world.sync()).deferred
    assert (deferred.scope, deferred.until, reads(world)) == (Scope.TRANSACTIONS, until, 1)
    assert (await world.sync(FakeRun(psu=PERSON))).accounts_synced == 1
    world.clock.now = until
    assert (await world.sync()).accounts_synced == 1


async def test_what_a_bank_says_is_left_makes_no_budget_larger(world: World) -> None:
    """A bank that would allow a hundred is still read three times by request, the fourth being the schedule's; one whose
    quota begins anew at once closes nothing."""
    for quota in (Quota(100, world.clock() + timedelta(hours=1)), Quota(0, world.clock() + timedelta(seconds=30))):
        world.pages(Page((reported("-3.50"),), quota=quota))
        await world.sync()
    await world.sync()
    assert (await world.sync()).deferred != ()
    assert reads(world) == 3


async def test_a_brake_is_waited_for(world: World) -> None:
    """A 429 of seconds fails the run with that wait, so that the queue tries again."""
    world.pages(RateLimited(retry_at=world.clock() + timedelta(seconds=30)))
    with pytest.raises(RateLimited) as caught:
        await world.sync()
    assert caught.value.retry_after == timedelta(seconds=30)


async def test_the_fifth_unattended_read_is_deferred(world: World) -> None:
    """The fifth read of a day without the person is deferred; with the person there it is made, and not counted."""
    first = world.clock()
    for _ in range(3):
        await world.sync(scheduled=True)
        world.clock.advance(timedelta(hours=7, minutes=45))
    await world.sync()
    result = await world.sync(force_full_sync=True)
    assert {d.scope for d in result.deferred} == {Scope.TRANSACTIONS}
    assert result.deferred[0].until == first + timedelta(hours=24, minutes=5)
    attended = await world.sync(FakeRun(psu=PERSON))
    assert attended.accounts_synced == 1
    assert reads(world) == 5


@pytest.mark.parametrize("ip", ["10.0.0.1", "127.0.0.1", "::1", "192.168.1.5", "fe80::1", "no address"])
async def test_attended_passes_a_public_address_only(world: World, ip: str) -> None:
    """A private, loopback or made-up address is passed on to no bank, and the read counts as unattended."""
    await world.sync(FakeRun(psu=PsuContext(ip)))
    assert {call[3] for call in world.bank.calls} == {None}
    await world.sync(FakeRun(psu=PERSON))
    assert [call[3] for call in world.bank.calls if call[0] is Scope.TRANSACTIONS] == [None, PERSON]


async def test_a_request_that_waited_too_long_is_unattended(world: World) -> None:
    """After a long wait in the queue the person is no longer there."""
    await world.sync(FakeRun(psu=dataclasses.replace(PERSON, at=world.clock() - timedelta(hours=1))))
    assert {call[3] for call in world.bank.calls} == {None}


async def test_one_account_fails(world: World) -> None:
    """One closed account costs the others nothing: the result is partial and names it."""
    world.bank.accounts_answer = [GIRO, CARD]
    world.pages(AccountUnavailable())
    world.shows(reported("-3.50"), account=CARD)
    result = await world.sync()
    assert (result.success, result.partial, result.accounts_synced) == (False, True, 1)
    assert [a.outcome for a in result.accounts] == [AccountOutcome.FAILED, AccountOutcome.SYNCED]
    assert result.accounts[0].error_code == "account-unavailable"
    assert len(await world.rows(CARD)) == 1
    assert await world.status() == (S.ACTIVE, None)


async def test_all_accounts_fail_for_good(world: World) -> None:
    """When no account can be read any more the job fails for good, and the connection is in ERROR until a success."""
    world.pages(AccountUnavailable())
    with pytest.raises(AccountUnavailable):
        await world.sync()
    assert (await world.status())[0] is S.ERROR
    world.shows()
    await world.sync()
    assert await world.status() == (S.ACTIVE, None)


async def test_all_accounts_fail_for_now(world: World) -> None:
    """When all accounts fail retryably the queue is asked to retry, and the connection's status stays."""
    world.bank.accounts_answer = [GIRO, CARD]
    world.pages(Transient("down", retry_after=timedelta(seconds=9)))
    world.pages(AccountUnavailable(), account=CARD)
    with pytest.raises(Transient):
        await world.sync()
    assert await world.status() == (S.ACTIVE, None)


async def test_an_error_nobody_classified(world: World) -> None:
    """An unexpected error of one account is raised only after the others were imported."""
    world.bank.accounts_answer = [GIRO, CARD]
    world.pages(KeyError("surprise"))
    world.shows(reported("-3.50"), account=CARD)
    with pytest.raises(KeyError):
        await world.sync()
    assert len(await world.rows(CARD)) == 1


async def test_balances_fail(world: World) -> None:
    """A failing balance call costs no transaction."""
    world.shows(reported("-3.50"))
    world.bank.balances_answer = Transient("balances are down")
    result = await world.sync()
    assert (result.success, result.new_transactions) == (True, 1)
    assert result.accounts[0].balances is AccountOutcome.FAILED


@pytest.mark.parametrize(("closing", "verdict"), [("90.00", BalanceVerdict.OK), ("95.00", BalanceVerdict.DIFFERS)])
async def test_the_balance_check_is_a_diagnosis(world: World, closing: str, verdict: BalanceVerdict) -> None:
    """The result says whether rows and balances agree, and no row is edited for it."""
    world.shows(reported("-4.00", days_ago(1)), reported("-6.00"), reported("-1.00", days_ago(5)))
    world.bank.balances_answer = [
        Balance("openingBooked", Decimal("100.00"), "EUR", days_ago(1)),
        Balance("closingBooked", Decimal(closing), "EUR", TODAY),
    ]
    result = await world.sync()
    assert result.balance_check is verdict
    assert len(await world.rows()) == 3


# Which 401 marks whom


@pytest.mark.parametrize("consent", [ConsentStatus.EXPIRED, ConsentStatus.REVOKED])
async def test_a_suspicious_401_is_confirmed(world: World, consent: ConsentStatus) -> None:
    """A bare 401 marks the connection only when the bank says that its consent is over; one event tells."""
    world.pages(ReauthRequired("action", suspicious=True))
    world.bank.consent_answer = Consent(consent)
    for _ in range(2):
        with pytest.raises(ReauthRequired):
            await world.sync()
    assert await world.status() == (S.REQUIRES_REAUTH, consent.value)
    revoked = [ConnectionRevoked] if consent is ConsentStatus.REVOKED else []
    assert [type(e) for e in world.events] == [ReauthRequiredEvent, *revoked]
    assert reads(world, Scope.CONSENT) == 2


async def test_a_401_with_a_valid_consent_is_a_blip(world: World) -> None:
    """A bare 401 of a bank that calls the consent valid is retried, and nobody is marked."""
    world.bank.accounts_answer = ReauthRequired("action", suspicious=True)
    with pytest.raises(Transient):
        await world.sync()
    assert await world.status() == (S.ACTIVE, None)
    assert world.events == []


async def test_our_own_certificate_marks_nobody(world: World) -> None:
    """When the bank refuses our own key or certificate no user is marked."""
    for place in ("accounts_answer", "pages"):
        world.bank.accounts_answer = [GIRO]
        if place == "pages":
            world.pages(CredentialError())
        else:
            world.bank.accounts_answer = CredentialError()
        with pytest.raises(CredentialError):
            await world.sync()
    world.pages(ReauthRequired("action", suspicious=True))
    world.bank.consent_answer = CredentialError()
    with pytest.raises(CredentialError):
        await world.sync()
    assert await world.status() == (S.ACTIVE, None)


async def test_unattended_refused(world: World) -> None:
    """An account that the bank reads only with the person present is noted once, and left alone until then."""
    world.pages(UnattendedRefused())
    for _ in range(2):
        result = await world.sync()
        assert result.accounts[0].outcome is AccountOutcome.ATTENDED_ONLY
    assert reads(world) == 1
    assert len(world.events) == 1
    world.shows(reported("-3.50"))
    assert (await world.sync(FakeRun(psu=PERSON))).accounts_synced == 1


# Consents


async def refresh(world: World, run: FakeRun | None = None) -> FakeRun:
    """Run the daily look at the consents."""
    run = run or FakeRun()
    await refresh_consents(
        RefreshConsents(),
        run,
        banks={"bank": world.bank},
        store=world.store,
        ledger=world.ledger,
        clock=world.clock,
        warning=timedelta(days=7),
    )
    return run


async def consents(world: World, *last_days: date, org: str = "org-1") -> None:
    """Give the store connections whose consents end on these days."""
    for number, last_day in enumerate(last_days):
        connection = dataclasses.replace(CONNECTION, id=f"{org}-c{number:03}", org_id=org, consent_valid_until=last_day)
        await world.add(connection)
    world.bank.consent_answer = lambda connection: Consent(ConsentStatus.VALID, connection.consent_valid_until)


async def test_consent_events_once(world: World) -> None:
    """A consent is told 7, 3 and 1 days before its end, once each, in one event an organisation, all of them."""
    await consents(world, *[days_ago(-7)] * 25)
    await consents(world, days_ago(-7), org="org-2")
    told = []
    for day in range(8):
        world.clock.now = datetime(2026, 3, 10, 3, tzinfo=UTC) + timedelta(days=day)
        for _ in range(2):
            run = await refresh(world)
            told += [(day, event.count) for event in run.events if isinstance(event, ConsentsExpiring)]
    assert told == [(0, 25), (0, 1), (4, 25), (4, 1), (6, 25), (6, 1)]
    connection = await world.store.connection("org-1-c024")
    assert connection is not None
    assert connection.status is S.REQUIRES_REAUTH


async def test_synced_until_the_consent_really_ends(world: World) -> None:
    """A consent that ends soon is synced until its last day, its warning stays, and after that no more."""
    await consents(world, days_ago(-2))
    await refresh(world)
    command = SyncAllOrg(org_id="org-1", connection_ids=None)

    async def children() -> list[str]:
        listed = await sync_all_org(command, FakeRun(), store=world.store, clock=world.clock)
        return [child.connection_id for child in listed]

    assert "org-1-c000" in await children()
    world.clock.advance(timedelta(days=2))
    assert "org-1-c000" in await children()
    world.clock.advance(timedelta(days=1))
    assert "org-1-c000" not in await children()
    run = await refresh(world)
    assert [type(event) for event in run.events] == [ReauthRequiredEvent]
    assert (await refresh(world)).events == []


async def test_a_success_keeps_the_warning(world: World) -> None:
    """A sync that goes well leaves the warning on, and takes it off once the consent was renewed."""
    await world.add(dataclasses.replace(CONNECTION, consent_valid_until=days_ago(-5)))
    world.bank.consent_answer = Consent(ConsentStatus.VALID, days_ago(-5))
    await refresh(world)
    await world.sync()
    assert (await world.status())[0] is S.REQUIRES_REAUTH
    await world.store.set_consent(CONNECTION.id, Consent(ConsentStatus.VALID, days_ago(-180)))
    world.bank.accounts_answer = [renewed(GIRO)]
    await world.sync()
    assert await world.status() == (S.ACTIVE, None)


async def test_restored_on_renewal(world: World) -> None:
    """A consent that the bank calls renewed makes its connection active again."""
    await world.add(dataclasses.replace(CONNECTION, consent_valid_until=days_ago(-5)))
    world.bank.consent_answer = Consent(ConsentStatus.VALID, days_ago(-5))
    await refresh(world)
    world.bank.consent_answer = Consent(ConsentStatus.VALID, days_ago(-180))
    run = await refresh(world)
    assert await world.status() == (S.ACTIVE, None)
    assert run.events == []
    connection = await world.store.connection(CONNECTION.id)
    assert connection is not None
    assert connection.consent_valid_until == days_ago(-180)


async def test_a_revoked_consent_is_noticed(world: World) -> None:
    """A consent that the person revoked at the bank is marked by the daily look, and told once."""
    await world.add(dataclasses.replace(CONNECTION, consent_valid_until=days_ago(-5)))
    world.bank.consent_answer = Consent(ConsentStatus.REVOKED)
    assert [type(e) for e in (await refresh(world)).events] == [ReauthRequiredEvent, ConnectionRevoked]
    assert (await refresh(world)).events == []
    assert await world.status() == (S.REQUIRES_REAUTH, "revoked")


@pytest.mark.parametrize("answer", [Transient("down"), CredentialError(), ReauthRequired("action", suspicious=True)])
async def test_a_bank_that_cannot_be_asked(world: World, answer: Exception) -> None:
    """When a bank can't be asked about a consent, its known last day decides, and the others are still looked at."""
    await consents(world, days_ago(-3), days_ago(-3))
    world.bank.consent_answer = answer
    run = await refresh(world)
    assert [e.count for e in run.events if isinstance(e, ConsentsExpiring)] == [2]


async def test_an_ended_consent_is_asked_about_once_more(world: World) -> None:
    """A sync after the consent's known end asks the bank: renewed goes on, ended marks the connection."""
    await world.add(dataclasses.replace(CONNECTION, consent_valid_until=days_ago(1)))
    world.bank.consent_answer = Consent(ConsentStatus.EXPIRED, days_ago(1))
    with pytest.raises(ConsentExpired):
        await world.sync()
    assert await world.status() == (S.REQUIRES_REAUTH, "expired")
    world.bank.consent_answer = Consent(ConsentStatus.VALID, days_ago(-90))
    assert (await world.sync()).success
    assert await world.status() == (S.ACTIVE, None)


# The job's own ways


async def test_unknown_and_disconnected(world: World) -> None:
    """An unknown connection, another organisation's and a disconnected one are refused for good."""
    await world.add(dataclasses.replace(CONNECTION, status=S.DISCONNECTED))
    with pytest.raises(ConnectionDisconnected):
        await world.sync()
    await world.add(dataclasses.replace(CONNECTION, org_id="org-2"))
    with pytest.raises(UnknownConnection):
        await world.sync()


async def test_account_ids(world: World) -> None:
    """Only the accounts named are read; one that is unknown is an outcome, and nothing but unknown ones an error."""
    world.bank.accounts_answer = [GIRO, CARD]
    both = await world.sync()
    card = both.accounts[1].account_id
    result = await world.sync(account_ids=(card, "nobody"))
    assert {(a.account_id, a.outcome) for a in result.accounts} == {
        (card, AccountOutcome.SYNCED),
        ("nobody", AccountOutcome.UNKNOWN),
    }
    assert result.partial
    with pytest.raises(Unsupported):
        await world.sync(account_ids=("nobody",))


async def test_progress_tells_every_stage(world: World) -> None:
    """A run goes through all stages, one message an account, and its percent never falls."""
    world.bank.accounts_answer = [GIRO, CARD]
    await world.sync()
    stages = world.last_run.stages
    assert list(dict.fromkeys(stage for stage, _, _ in stages)) == [
        Stage.STARTING,
        Stage.SYNCING_ACCOUNTS,
        Stage.SYNCING_TRANSACTIONS,
        Stage.FINALIZING,
        Stage.COMPLETED,
    ]
    assert [m for s, m, _ in stages if s is Stage.SYNCING_TRANSACTIONS] == [
        "Importing account 1 of 2",
        "Importing account 2 of 2",
    ]
    percents = [percent for _, _, percent in stages]
    assert percents == sorted(percents)
    assert percents[-1] == 100


async def test_the_result_has_exactly_the_fields_of_the_contract(world: World) -> None:
    """The result of a job has the fields of design §8, in camelCase."""
    result = await world.sync()
    assert set(result.model_dump(mode="json")) == {
        "connectionId", "success", "partial", "accountsSynced", "transactionsSynced", "newAccounts", "newTransactions",
        "updatedTransactions", "removedTransactions", "putOff", "quarantined", "accounts", "balanceCheck", "deferred", "window",
        "undecided",
    }  # fmt: skip


@pytest.mark.parametrize("write", ["upsert_accounts", "apply", "put_balances", "note_sync"])
async def test_killed_between_any_two_steps(world: World, write: str) -> None:
    """Killed before any write and run again, the rows are those of one clean import."""
    world.shows(reported("-3.50"), reported("-3.50"), reported("-9.00", ref="x"))

    def killed(name: str) -> None:
        if name == write:
            raise KeyboardInterrupt

    world.store.before = killed
    with pytest.raises(KeyboardInterrupt):
        await world.sync()
    world.store.before = lambda name: None
    await world.sync()
    assert [a for _, _, a in await world.living()] == [Decimal("-9.00"), Decimal("-3.50"), Decimal("-3.50")]


async def test_a_scheduled_sync_that_was_killed_is_read_again(world: World) -> None:
    """A planned read that a crash cut off is made again at once, out of the reserve."""
    world.shows(reported("-3.50"))

    def killed(name: str) -> None:
        raise KeyboardInterrupt

    world.bank.pages[GIRO.provider_id] = lambda window, cursor: killed("in the read")
    with pytest.raises(KeyboardInterrupt):
        await world.sync(scheduled=True)
    world.shows(reported("-3.50"))
    assert (await world.again(scheduled=True)).new_transactions == 1


async def test_cron_manual_and_full_at_once(world: World) -> None:
    """Another run that writes in between makes this one decide anew; neither doubles a row."""
    world.shows(reported("-3.50"), reported("-3.50"))
    store = world.store
    writes = iter(range(10))

    async def other() -> None:
        world.runs -= 1  # neither is later than the other
        await world.sync(force_full_sync=True)

    original = store.load_rows

    async def slow_load(*args: object) -> object:
        loaded = await original(*args)  # type: ignore[arg-type]
        if next(writes) == 0:
            await other()
        return loaded

    store.load_rows = slow_load  # type: ignore[method-assign, assignment]
    run = FakeRun()
    result = await world.sync(run)
    assert result.new_transactions == 0
    assert len(await world.living()) == 2


async def test_an_older_run_writes_nothing(world: World) -> None:
    """A run that lost its lease, or that a later one has overtaken, writes nothing more."""
    world.shows(reported("-3.50"))
    await world.sync()
    world.runs = -5
    world.shows(reported("-3.50"), reported("-4.50"))
    with pytest.raises(LeaseLost):
        await world.sync()
    world.runs = 5
    with pytest.raises(LeaseLost):
        await world.sync(FakeRun(error=LeaseLost("job-1")))
    assert len(await world.living()) == 1


async def test_a_store_that_is_away_is_retried(world: World) -> None:
    """When the store fails in the middle, the run is retried and completes."""
    world.shows(reported("-3.50"))
    with world.store_away(), pytest.raises(StoreUnavailable):
        await world.sync()
    assert (await world.sync()).new_transactions == 1


async def test_a_tick_before_its_time_asks_the_bank_nothing(world: World) -> None:
    """A tick four hours after a sync asks the bank nothing; the next one reads."""
    await world.sync(scheduled=True)
    calls = len(world.bank.calls)
    world.clock.advance(timedelta(hours=4))
    await world.sync(scheduled=True)
    assert len(world.bank.calls) == calls
    world.clock.advance(timedelta(hours=4))
    assert (await world.sync(scheduled=True)).accounts_synced == 1


async def test_a_contract_without_a_limit(world: World) -> None:
    """A bank whose contract allows any number is read at every tick."""
    world.bank.offers = Capabilities(unattended_limit=None)
    for _ in range(6):
        assert (await world.sync(scheduled=True)).accounts_synced == 1
        world.clock.advance(timedelta(hours=4))


async def test_the_children_of_an_organisation(world: World) -> None:
    """Named connections must be the organisation's own; without names the syncable ones are taken."""
    await consents(world, days_ago(-100), days_ago(-100))
    await consents(world, days_ago(-100), org="org-2")
    gone = dataclasses.replace(CONNECTION, id="gone", status=S.DISCONNECTED)
    await world.add(gone)
    await world.add(dataclasses.replace(CONNECTION, id="revoked", status=S.REQUIRES_REAUTH, status_reason="revoked"))

    async def children(*ids: str) -> list[str]:
        command = SyncAllOrg(org_id="org-1", connection_ids=ids or None, scheduled=True)
        listed = await sync_all_org(command, FakeRun(), store=world.store, clock=world.clock)
        assert all(child.scheduled and child.org_id == "org-1" for child in listed)
        return [child.connection_id for child in listed]

    assert await children() == ["connection-1", "org-1-c000", "org-1-c001"]
    assert await children("org-1-c001") == ["org-1-c001"]
    with pytest.raises(UnknownConnection):
        await children("org-2-c000")
    with pytest.raises(ConnectionDisconnected):
        await children("gone")
