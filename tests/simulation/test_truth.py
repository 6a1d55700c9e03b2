"""What a sync says of itself, and what becomes of the accounts that failed (design §5, *Truth*)."""

import contextlib
import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from bankimport.access.budget import CIRCUIT_GAP, PLANNED_GAP, RETRY_PATIENCE
from bankimport.errors import (
    AccountUnavailable,
    BankRejected,
    ConsentExpired,
    PeriodRejected,
    Permanent,
    RateLimited,
    Transient,
    UnattendedRefused,
)
from bankimport.jobs import AccountOutcome
from bankimport.models import BankAccount, Capabilities, Consent, ConsentStatus, PsuContext, Scope
from bankimport.status import ConnectionStatus
from bankimport.testing.fakes import FakeRun
from tests.simulation.test_access_and_consents import PERSON, reads
from tests.simulation.world import CARD, CONNECTION, GIRO, ON_ALL_STORES, TODAY, World, renewed, reported

pytestmark = ON_ALL_STORES

POT = BankAccount("pot-1", "DE75512108001245126199", "EUR", iban="DE75512108001245126199")
DOWN = Transient("down", scope=Scope.TRANSACTIONS)
S = ConnectionStatus
OUT = AccountOutcome


def asked(world: World, account: BankAccount) -> int:
    """How often an account's transactions were asked for."""
    return sum(call[:2] == (Scope.TRANSACTIONS, account.provider_id) for call in world.bank.calls)


def three(world: World) -> None:
    """A connection of three accounts with a row each."""
    world.bank.accounts_answer = [GIRO, CARD, POT]
    for account in (GIRO, CARD, POT):
        world.shows(reported("-3.50", ref=account.provider_id), account=account)


def left(world: World) -> dict[str, Any]:
    """The result of a run that failed."""
    assert world.last_run.if_failed is not None
    return dict(world.last_run.if_failed.result)


# Failed accounts are retried, and they alone


@pytest.mark.parametrize("scheduled", [False, True])
@pytest.mark.parametrize(
    "failure", [DOWN, RateLimited(scope=Scope.TRANSACTIONS, retry_after=timedelta(seconds=9)), KeyError("surprise")],
    ids=["503", "429", "unexpected"],
)  # fmt: skip
async def test_one_account_of_three_that_fails_once_is_retried_alone(
    world: World, failure: Exception, scheduled: bool
) -> None:
    """The run fails with what it has imported; the retry reads the third account only, and its result is that of both."""
    three(world)
    world.pages([reported("-1.00", ref="strong")], failure, account=CARD)
    with pytest.raises(type(failure)):
        await world.sync(scheduled=scheduled)
    assert world.last_run.if_failed is not None
    assert world.last_run.if_failed.retry_in is not None
    assert [account["outcome"] for account in left(world)["accounts"]] == ["synced", "failed", "synced"]
    world.shows(reported("-1.00", ref="strong"), reported("-2.00", ref="weak"), account=CARD)
    result = await world.again(scheduled=scheduled)
    assert [asked(world, account) for account in (GIRO, CARD, POT)] == [1, 2, 1]
    assert (result.success, result.partial, result.accounts_synced) == (True, False, 3)
    assert [account.outcome for account in result.accounts] == [OUT.SYNCED] * 3
    assert result.new_transactions == sum([len(await world.rows(account)) for account in (GIRO, CARD, POT)])
    assert world.last_run.stages[-1][1] == f"Sync completed: {result.new_transactions} new transactions"


async def test_an_account_that_keeps_failing_fails_the_job_and_marks_nothing(world: World) -> None:
    """The last run's result still says, account by account, what all the runs have imported."""
    three(world)
    world.pages(DOWN, account=CARD)
    run = FakeRun(psu=PERSON)
    with pytest.raises(Transient):
        await world.sync(run)
    for _ in range(3):
        run.psu = dataclasses.replace(PERSON)
        world.clock.advance(timedelta(seconds=20))
        with pytest.raises(Transient):
            await world.sync(run, job="job-1")
    result = left(world)
    assert [account["outcome"] for account in result["accounts"]] == ["synced", "failed", "synced"]
    assert (result["accountsSynced"], result["newTransactions"], result["partial"], result["success"]) == (
        2,
        2,
        True,
        False,
    )
    assert [asked(world, account) for account in (GIRO, CARD, POT)] == [1, 4, 1]
    assert await world.status() == (S.ACTIVE, None)


async def test_an_account_that_is_gone_for_good_makes_the_job_partial(world: World) -> None:
    """No retry can help, so there is none; and it isn't asked for again while another one is retried."""
    three(world)
    world.pages(AccountUnavailable(), account=GIRO)
    world.pages(DOWN, account=CARD)
    with pytest.raises(Transient):
        await world.sync()
    world.shows(account=CARD)
    result = await world.again()
    assert (result.success, result.partial, result.accounts_synced) == (False, True, 2)
    assert asked(world, GIRO) == 1
    assert "1 account failed" in world.last_run.stages[-1][1]
    assert await world.status() == (S.ACTIVE, None)


async def test_what_was_finished_before_a_crash_is_not_read_again(world: World) -> None:
    """Six pages of two finished accounts are read once, though the worker dies in the third account."""
    three(world)
    pages = [[reported("-1.00", ref=f"p{number}")] for number in range(6)]
    world.pages(*pages, account=GIRO)
    world.pages(KeyboardInterrupt(), account=POT)
    world.bank.pages[POT.provider_id] = lambda window, cursor: killed()  # type: ignore[assignment]  # scripted

    def killed() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await world.sync(scheduled=True)
    world.shows(reported("-3.50", ref="pot"), account=POT)
    result = await world.again(scheduled=True)
    assert [asked(world, account) for account in (GIRO, CARD, POT)] == [1, 1, 2]
    assert (result.accounts_synced, result.new_transactions, result.success) == (3, 8, True)


async def test_notes_that_nobody_can_read_are_none(world: World) -> None:
    """What stands in Redis is untrusted: a run reads anew what it can't be sure of."""
    three(world)
    await world.sync()
    for account in await world.store.accounts(CONNECTION.id):
        await world.notes.put("job-1", account.id, '{"result": 3}')
    result = await world.again()
    assert (result.accounts_synced, asked(world, GIRO)) == (3, 2)


# A planned sync that fails ends failed


async def test_a_planned_sync_that_fails_twice_fails(world: World) -> None:
    """Its own retry is the last read that the budget keeps for it: the job is failed then, and not called completed."""
    world.pages(DOWN)
    with pytest.raises(Transient):
        await world.sync(scheduled=True)
    assert world.last_run.if_failed is not None
    assert world.last_run.if_failed.retry_in == timedelta(0)
    with pytest.raises(Transient):
        await world.again(scheduled=True)
    assert world.last_run.if_failed is not None
    assert world.last_run.if_failed.retry_in is None
    assert (left(world)["success"], reads(world)) == (False, 2)
    with pytest.raises(Transient):  # if it were run all the same
        await world.again(scheduled=True)
    assert reads(world) == 2


async def test_the_retry_waits_for_yesterdays_read_to_leave_the_budget(world: World) -> None:
    """Three planned reads a day later the fourth place is free for the retry five minutes after the failure."""
    for _ in range(3):
        await world.sync(scheduled=True)
        world.clock.advance(timedelta(hours=8))
    world.pages(DOWN)
    with pytest.raises(Transient):
        await world.sync(scheduled=True)
    assert world.last_run.if_failed is not None
    wait = world.last_run.if_failed.retry_in
    assert wait == timedelta(minutes=5)
    assert wait < RETRY_PATIENCE
    world.shows(reported("-3.50"))
    assert (await world.again(wait, scheduled=True)).accounts_synced == 1


@pytest.mark.parametrize("gone", range(1, 4))
async def test_a_run_that_a_crash_cuts_off_again_and_again_is_not_called_done(world: World, gone: int) -> None:
    """What was read twice by this very job and cut off is a failure of the job, not a read that isn't due."""
    world.bank.pages[GIRO.provider_id] = lambda window, cursor: killed()  # type: ignore[assignment]  # scripted

    def killed() -> None:
        raise KeyboardInterrupt

    expected: list[type[BaseException]] = [KeyboardInterrupt, KeyboardInterrupt, Transient]
    for error in expected[:gone]:
        with pytest.raises(error):
            await (world.again(scheduled=True) if world.runs else world.sync(scheduled=True))
    assert reads(world) == min(gone, 2)


async def test_after_three_failures_it_is_read_once_a_day(world: World) -> None:
    """And `next_sync_at` says when, so that a page can tell the person."""
    world.pages(DOWN)
    for after in (timedelta(0), timedelta(hours=8), timedelta(hours=8)):
        world.clock.advance(after)
        with pytest.raises(Transient):
            await world.sync(scheduled=True)
    last = world.clock()
    connection = await world.store.connection(CONNECTION.id)
    assert connection is not None
    assert (connection.last_sync_at, connection.next_sync_at) == (None, last + CIRCUIT_GAP)
    for hours in (4, 8, 12, 16, 20):
        world.clock.now = last + timedelta(hours=hours)
        await world.sync(scheduled=True)
    assert reads(world) == 3
    world.shows()
    world.clock.now = last + timedelta(hours=24)
    assert (await world.sync(scheduled=True)).accounts_synced == 1
    connection = await world.store.connection(CONNECTION.id)
    assert connection is not None
    assert connection.next_sync_at == world.clock() + PLANNED_GAP


# A request's own fault marks no connection


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"end_date": TODAY.replace(year=2020)}, PeriodRejected()),
        ({"end_date": TODAY.replace(year=2020)}, BankRejected(400)),
        ({"start_date": TODAY.replace(year=2019), "end_date": TODAY.replace(year=2020)}, BankRejected(400)),
        ({"account_ids": True}, AccountUnavailable()),
    ],
    ids=[
        "an end too early",
        "an end refused in other words",
        "days refused in other words",
        "one account that is closed",
    ],
)
async def test_what_was_asked_for_wrongly_marks_no_connection(
    world: World, options: dict[str, Any], answer: Any
) -> None:
    """A bank that serves 90 days is healthy, whatever somebody asks of it."""
    three(world)
    first = await world.sync()
    if "account_ids" in options:
        options = {"account_ids": (first.accounts[0].account_id,)}
    for account in (GIRO, CARD, POT):
        world.pages(answer, account=account)
    with pytest.raises(Permanent):
        await world.sync(**options)
    assert await world.status() == (S.ACTIVE, None)


# A request without the person while the bank is away


async def test_a_manual_sync_leaves_the_schedule_its_read(world: World) -> None:
    """A bank that answers 503 for 38 s costs a request without an address three reads, and the job says that it failed."""
    world.pages(DOWN)
    for after in (0, 5, 10):
        with pytest.raises(Transient):
            await (world.again(timedelta(seconds=after)) if world.runs else world.sync())
    assert world.last_run.if_failed is not None
    assert world.last_run.if_failed.retry_in is None
    assert (left(world)["success"], left(world)["accountsSynced"]) == (False, 0)
    with pytest.raises(Transient):
        await world.again(timedelta(seconds=20))  # if it were run all the same
    assert reads(world) == 3
    world.shows(reported("-3.50"))
    world.clock.advance(timedelta(hours=8))
    assert (await world.sync(scheduled=True)).accounts_synced == 1


# Deferred, not due, refused: said as such


async def test_the_last_word_says_what_was_left(world: World) -> None:
    """What is deferred, failed or refused is neither called synced nor passed over."""
    three(world)
    world.pages(RateLimited(scope=Scope.TRANSACTIONS, retry_after=timedelta(hours=6)), account=CARD)
    world.pages(UnattendedRefused(), account=POT)
    result = await world.sync()
    assert world.last_run.stages[-1][1] == (
        "Sync completed: 1 new transaction; 1 account deferred, 1 account answered only while the person is present"
    )
    assert (result.success, result.partial, result.accounts_synced) == (False, True, 1)


async def test_a_tick_with_nothing_due_says_so(world: World) -> None:
    """Nothing is asked, nothing is called synced, and every account says why."""
    three(world)
    await world.sync(scheduled=True)
    world.clock.advance(timedelta(hours=4))
    before = len(world.bank.calls)
    result = await world.sync(scheduled=True)
    assert len(world.bank.calls) == before
    assert [account.outcome for account in result.accounts] == [OUT.NOT_DUE] * 3
    assert (result.accounts_synced, world.last_run.stages[-1][1]) == (0, "Nothing was imported: 3 accounts not due yet")


async def test_a_tick_is_no_longer_held_up_by_what_a_bank_demands(world: World) -> None:
    """A 503 with `Retry-After` of a week is waited for until the next tick, by a request for a day."""
    world.pages(Transient("down", retry_after=timedelta(days=7)))
    with pytest.raises(Transient) as caught:
        await world.sync(scheduled=True)
    assert caught.value.retry_after == timedelta(hours=4)
    world.pages(Transient("down", retry_after=timedelta(days=7)))
    with pytest.raises(Transient) as caught:
        await world.sync()
    assert caught.value.retry_after == timedelta(hours=24)


# The list of accounts


async def test_the_list_of_accounts_is_read_once_a_day(world: World) -> None:
    """Of 38 reads a day one is left; the person's own sync reads it, since a new account is why people press the button."""
    three(world)
    for _ in range(5):
        await world.sync(scheduled=True)
        world.clock.advance(timedelta(hours=4))
    assert reads(world, Scope.ACCOUNTS) == 1
    world.bank.accounts_answer = [GIRO]
    assert (await world.sync(FakeRun(psu=PERSON))).accounts_synced == 1
    world.clock.advance(timedelta(hours=4))
    assert len((await world.sync(scheduled=True)).accounts) == 1
    world.clock.advance(timedelta(hours=24))
    await world.sync(scheduled=True)
    assert reads(world, Scope.ACCOUNTS) == 3


async def test_a_renewed_consent_reads_the_list(world: World) -> None:
    """Resource ids live no longer than their consent: none of the old ones is asked for."""
    three(world)
    await world.add(dataclasses.replace(CONNECTION, consent_id="old"))
    await world.sync(scheduled=True)
    await world.add(dataclasses.replace(CONNECTION, consent_id="new"))
    world.bank.accounts_answer = [renewed(GIRO)]
    world.clock.advance(timedelta(hours=8))
    before = len(world.bank.calls)
    assert (await world.sync(scheduled=True)).accounts_synced == 1
    assert [call[1] for call in world.bank.calls[before:]] == [CONNECTION.id, *[renewed(GIRO).provider_id] * 2]


async def test_a_refused_account_reads_the_list(world: World) -> None:
    """An account with a new resource id is found by its list and read; one that is no longer listed isn't asked again."""
    three(world)
    await world.sync(scheduled=True)
    world.bank.accounts_answer = [renewed(GIRO), CARD]
    for account in (GIRO, POT):
        world.pages(AccountUnavailable(), account=account)
    world.shows(reported("-9.00", ref="new"), account=renewed(GIRO))
    world.clock.advance(timedelta(hours=8))
    result = await world.sync(scheduled=True)
    assert sorted(account.outcome for account in result.accounts) == [OUT.FAILED, OUT.SYNCED, OUT.SYNCED]
    assert reads(world, Scope.ACCOUNTS) == 2
    world.clock.advance(timedelta(hours=8))
    assert [account.outcome for account in (await world.sync(scheduled=True)).accounts] == [OUT.SYNCED] * 2


async def test_where_the_list_is_away_the_known_accounts_are_read(world: World) -> None:
    """A list that can't be read today holds up nobody's transactions."""
    three(world)
    await world.sync(scheduled=True)
    world.clock.advance(timedelta(hours=24))
    world.bank.accounts_answer = Transient("the list is down")
    assert (await world.sync(scheduled=True)).accounts_synced == 3


async def test_a_first_list_that_fails_is_retried_once_by_the_schedule(world: World) -> None:
    """Where nothing is known the job fails, within the same budget."""
    world.bank.accounts_answer = Transient("the list is down")
    for expected in (timedelta(0), None):
        with pytest.raises(Transient):
            await (world.again(scheduled=True) if world.runs else world.sync(scheduled=True))
        assert world.last_run.if_failed is not None
        assert world.last_run.if_failed.retry_in == expected
    world.bank.accounts_answer = [GIRO]
    world.clock.advance(timedelta(hours=8))
    assert (await world.sync(scheduled=True)).accounts_synced == 1


async def test_the_list_of_accounts_has_its_own_four(world: World) -> None:
    """A list that fails is asked for three times by requests and once by the schedule in 24 hours, however often they come."""
    world.bank.accounts_answer = Transient("the list is down")
    for number in range(7):
        world.clock.advance(timedelta(hours=8 if number == 4 else 0))
        with contextlib.suppress(Transient):
            await world.sync(scheduled=number > 3)
    assert reads(world, Scope.ACCOUNTS) == 4


async def test_a_quota_on_balances_is_kept(world: World) -> None:
    """A 429 of hours closes the balances, and costs no transaction."""
    world.bank.balances_answer = RateLimited(scope=Scope.BALANCES, retry_after=timedelta(hours=6))
    for _ in range(3):
        result = await world.sync()
        assert (result.accounts_synced, result.accounts[0].balances) == (1, OUT.DEFERRED)
    assert (reads(world, Scope.BALANCES), reads(world)) == (1, 3)


# What a bank counts is the bank's to say


async def test_where_each_page_counts_each_is_counted(world: World) -> None:
    """Three pages are three of the day's requests: the next read is deferred, and nothing is sent."""
    world.bank.offers = Capabilities(pages_count=True)
    world.pages(*[[reported("-1.00", ref=f"p{number}")] for number in range(3)])
    assert (await world.sync()).accounts_synced == 1
    result = await world.sync()
    assert ([read.scope for read in result.deferred], reads(world)) == ([Scope.TRANSACTIONS], 1)


async def test_a_scope_that_the_bank_does_not_count_has_no_limit(world: World) -> None:
    """Only the balances are counted by this bank: transactions are read as often as somebody asks."""
    world.bank.offers = Capabilities(quota_scopes=frozenset({Scope.BALANCES}))
    for _ in range(6):
        assert (await world.sync()).accounts_synced == 1
    assert (reads(world), reads(world, Scope.BALANCES)) == (6, 3)


async def test_a_consent_that_the_bank_counts_is_asked_about_within_its_budget(world: World) -> None:
    """An ended consent is asked about by each request, three times a day where the bank counts that."""
    world.bank.offers = Capabilities(quota_scopes=frozenset({Scope.CONSENT}))
    await world.add(dataclasses.replace(CONNECTION, consent_valid_until=TODAY - timedelta(days=1)))
    world.bank.consent_answer = Consent(ConsentStatus.EXPIRED, TODAY - timedelta(days=1))
    for _ in range(3):
        with pytest.raises(ConsentExpired):
            await world.sync()
    result = await world.sync()
    assert ([read.scope for read in result.deferred], reads(world, Scope.CONSENT)) == ([Scope.CONSENT], 3)


# The person's return, and an emptied ledger


async def test_a_person_lifts_what_the_bank_refused_without_them(world: World) -> None:
    """Attended-only is tried again after a success with the person there."""
    world.pages(UnattendedRefused())
    await world.sync(scheduled=True)
    world.shows(reported("-3.50"))
    world.clock.advance(timedelta(hours=24))
    assert (await world.sync(scheduled=True)).accounts[0].outcome is OUT.ATTENDED_ONLY
    await world.sync(FakeRun(psu=PsuContext("8.8.8.8")))
    world.clock.advance(timedelta(hours=24))
    assert (await world.sync(scheduled=True)).accounts[0].outcome is OUT.SYNCED


@pytest.mark.parametrize("answers", [True, False], ids=["a healthy bank", "a failing bank"])
async def test_an_emptied_redis_allows_no_more_reads(world: World, answers: bool) -> None:
    """What the store knows of the last day counts as used up, until that day is over; somebody new is read at once."""
    await world.add(dataclasses.replace(CONNECTION, id="connection-2"))
    for after in (0, 8, 8):
        world.clock.advance(timedelta(hours=after))
        world.pages(*([[reported("-3.50", ref="a")]] if answers else [DOWN]))
        try:
            await world.sync(scheduled=True)
        except Transient:
            assert not answers
    last = world.clock()
    world.ledger.empty()
    world.shows()
    for hours in (4, 8, 12, 16, 20, 24):
        world.clock.now = last + timedelta(hours=hours)
        await world.sync(scheduled=True)
        await world.sync()
    assert (reads(world), reads(world, Scope.ACCOUNTS), reads(world, Scope.BALANCES)) == (3, 1, 3 if answers else 0)
    world.clock.now = last + timedelta(hours=28)
    assert (await world.sync(scheduled=True)).accounts_synced == 1


async def test_an_emptied_redis_is_remembered_though_the_person_comes_first(world: World) -> None:
    """The person's own sync isn't counted, and doesn't hide what was read before."""
    for after in (0, 8, 8):
        world.clock.advance(timedelta(hours=after))
        await world.sync(scheduled=True)
    last = world.clock()
    world.ledger.empty()
    world.clock.advance(timedelta(hours=1))
    assert (await world.sync(FakeRun(psu=PERSON))).accounts_synced == 1
    for hours in (4, 8, 12, 16, 20, 24):
        world.clock.now = last + timedelta(hours=hours)
        assert (await world.sync(scheduled=True)).accounts_synced == 0
