"""What every `BankProvider` must do, errors included: the class that all providers of this package pass."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

import pytest

from bankimport.errors import (
    AccountUnavailable,
    CredentialError,
    JobError,
    MalformedData,
    PeriodRejected,
    RateLimited,
    ReauthRequired,
    Transient,
)
from bankimport.imports.accounts import assign
from bankimport.models import (
    Balance,
    BankAccount,
    BankConnection,
    ConsentStatus,
    Delta,
    Page,
    PsuContext,
    ReportedTransaction,
    Scope,
    Transaction,
    TransactionStatus,
    Window,
)
from bankimport.ports import BankProvider
from bankimport.reading import read_transaction

PERSON: Final = PsuContext("203.0.113.7", "Mozilla/5.0")


class Trouble(StrEnum):
    """What can go wrong at a bank while transactions are read, and is told apart by the import."""

    UNAVAILABLE = "unavailable"
    CUT = "cut"
    NOT_JSON = "not-json"
    RATE_LIMITED = "rate-limited"
    CONSENT_EXPIRED = "consent-expired"
    CONSENT_REVOKED = "consent-revoked"
    OUR_CREDENTIALS = "our-credentials"
    ACCOUNT_GONE = "account-gone"
    PERIOD_TOO_EARLY = "period-too-early"


MEANING: Final[dict[Trouble, type[JobError]]] = {
    Trouble.UNAVAILABLE: Transient,
    Trouble.CUT: Transient,
    Trouble.NOT_JSON: MalformedData,
    Trouble.RATE_LIMITED: RateLimited,
    Trouble.CONSENT_EXPIRED: ReauthRequired,
    Trouble.CONSENT_REVOKED: ReauthRequired,
    Trouble.OUR_CREDENTIALS: CredentialError,
    Trouble.ACCOUNT_GONE: AccountUnavailable,
    Trouble.PERIOD_TOO_EARLY: PeriodRejected,
}


@dataclass(frozen=True)
class BankUnderTest:
    """A bank that behaves until it is told otherwise.

    `renewed` is a connection of the same person with a renewed consent, `other` one of another person. `cause` makes
    the next request for transactions end in a trouble, once. `troubles` are those that this bank can have.
    """

    provider: BankProvider
    connection: BankConnection
    renewed: BankConnection
    other: BankConnection
    today: date
    cause: Callable[[Trouble], Awaitable[None]]
    troubles: frozenset[Trouble] = frozenset(Trouble)

    @property
    def window(self) -> Window:
        """Days enough for several pages."""
        return Window(self.today - timedelta(days=80))

    async def account(self) -> BankAccount:
        """Return the first account."""
        [account, *_] = await self.provider.accounts(self.connection, None)
        return account

    async def read(self, window: Window, cursor: str | None = None) -> list[Page | Delta]:
        """Read a window of the first account completely."""
        account = await self.account()
        pages = self.provider.transactions(self.connection, account, window, cursor=cursor, psu=None)
        return [_said(page) async for page in pages]

    async def rows(self, window: Window) -> list[Transaction]:
        """Read a window and check each row, as the import does."""
        account = await self.account()
        reported = [row for page in await self.read(window) for row in _rows(page)]
        read = [read_transaction(row, account.currency, self.today) for row in reported]
        assert all(isinstance(row, Transaction) for row in read), "every row can be read"
        return [row for row in read if isinstance(row, Transaction)]


def _said(page: Page | Delta) -> Page | Delta:
    """Return what a page says; in its own words an API may say something else every time."""
    if isinstance(page, Page):
        return replace(page, transactions=tuple(replace(row, raw=None) for row in page.transactions), quota=None)
    added = tuple(replace(row, raw=None) for row in page.added)
    return replace(page, added=added, modified=tuple(replace(row, raw=None) for row in page.modified), quota=None)


def _rows(page: Page | Delta) -> Sequence[ReportedTransaction]:
    return page.transactions if isinstance(page, Page) else (*page.added, *page.modified)


class ProviderContract:
    """The promises, one a test. Subclass it, and give it a fixture `bank` that returns a `BankUnderTest`."""

    def test_it_is_a_provider(self, bank: BankUnderTest) -> None:
        """It has every method of the port, and a name."""
        assert isinstance(bank.provider, BankProvider)
        assert bank.provider.name

    async def test_a_valid_consent_says_so(self, bank: BankUnderTest) -> None:
        """Its status and its last day."""
        consent = await bank.provider.consent(bank.connection, None)
        assert consent.status is ConsentStatus.VALID
        assert consent.valid_until is None or consent.valid_until >= bank.today

    async def test_accounts_are_recognised_over_a_renewed_consent(self, bank: BankUnderTest) -> None:
        """Resource ids may be new; what names the accounts tells who is whom, and none is taken for another."""
        before = await bank.provider.accounts(bank.connection, None)
        stored = [replace(one, id=str(n), consent_id=bank.connection.consent_id) for n, one in enumerate(before)]
        after = await bank.provider.accounts(bank.renewed, None)
        decided = assign([replace(account, consent_id=bank.renewed.consent_id) for account in after], stored)
        assert [(account.id, account.undecided) for account in decided.accounts] == [(one.id, None) for one in stored]
        assert decided.away == ()
        assert len({account.provider_id for account in before}) == len(before) > 0

    async def test_another_person_has_other_accounts(self, bank: BankUnderTest) -> None:
        """One provider serves all connections, and mixes none of them."""
        mine, theirs = await asyncio.gather(
            bank.provider.accounts(bank.connection, None), bank.provider.accounts(bank.other, None)
        )
        assert not {account.provider_id for account in mine} & {account.provider_id for account in theirs}

    async def test_nothing_prints_a_person(self, bank: BankUnderTest) -> None:
        """No number and no name is in the `repr` of an account."""
        account = await bank.account()
        assert account.iban is None or account.iban not in repr(account)
        assert account.name is None or account.name not in repr(account)

    async def test_balances_are_exact(self, bank: BankUnderTest) -> None:
        """At least one balance, in the account's currency."""
        account = await bank.account()
        balances = await bank.provider.balances(bank.connection, account, None)
        readable = [balance for balance in balances if isinstance(balance, Balance)]
        assert readable
        assert {balance.currency for balance in readable} == {account.currency}

    async def test_a_window_is_read_completely(self, bank: BankUnderTest) -> None:
        """Booked and pending, in the window; the last page alone has no cursor."""
        pages = await bank.read(bank.window)
        cursors = [page.cursor for page in pages if isinstance(page, Page)]
        assert [cursor is None for cursor in cursors[:-1]] == [False] * (len(cursors) - 1)
        assert cursors[-1:] in ([], [None])
        rows = await bank.rows(bank.window)
        statuses = {row.status for row in rows}
        assert statuses == (await bank.provider.capabilities(bank.connection)).statuses
        assert min(row.day for row in rows) >= bank.window.since

    async def test_a_window_may_end(self, bank: BankUnderTest) -> None:
        """Nothing that was booked after its last day is in it."""
        until = bank.today - timedelta(days=20)
        rows = await bank.rows(Window(bank.today - timedelta(days=40), until))
        booked = [row.day for row in rows if row.status is TransactionStatus.BOOKED]
        assert booked
        assert max(booked) <= until

    async def test_reading_goes_on_after_a_cursor(self, bank: BankUnderTest) -> None:
        """From a page's cursor come exactly the pages after it."""
        pages = await bank.read(bank.window)
        if len(pages) > 1:
            assert await bank.read(bank.window, pages[0].cursor) == pages[1:]

    async def test_two_reads_say_the_same(self, bank: BankUnderTest) -> None:
        """Nothing of a read depends on the one before, or on one at the same time."""
        first, second = await asyncio.gather(bank.read(bank.window), bank.read(bank.window))
        assert first == second == await bank.read(bank.window)

    async def test_a_person_may_ask(self, bank: BankUnderTest) -> None:
        """With the person's own address and browser the answers are the same."""
        account = await bank.account()
        pages = bank.provider.transactions(bank.connection, account, bank.window, cursor=None, psu=PERSON)
        assert [_said(page) async for page in pages] == await bank.read(bank.window)

    @pytest.mark.parametrize("trouble", Trouble, ids=lambda trouble: trouble.value)
    async def test_a_trouble_is_the_error_it_means(self, bank: BankUnderTest, trouble: Trouble) -> None:
        """A read that fails never ends as if it were complete. The error says what was read, and tells no secret; the
        next read is a good one."""
        if trouble not in bank.troubles:
            pytest.skip("this bank can't have it")
        account = await bank.account()
        expected = await bank.read(bank.window)
        await bank.cause(trouble)
        with pytest.raises(MEANING[trouble]) as told:
            await _drained(bank, account)
        assert told.value.scope is Scope.TRANSACTIONS
        assert not [secret for secret in _secrets(bank, account) if secret in str(told.value)]
        if isinstance(told.value, ReauthRequired) and trouble is Trouble.CONSENT_EXPIRED:
            assert (told.value.reason, told.value.suspicious) == ("expired", False)
        assert await bank.read(bank.window) == expected

    async def test_closing_twice_is_closing(self, bank: BankUnderTest) -> None:
        """And what was closed may be used again, as a worker's restart does."""
        await bank.provider.aclose()
        await bank.provider.aclose()
        assert await bank.account()


async def _drained(bank: BankUnderTest, account: BankAccount) -> None:
    async for _ in bank.provider.transactions(bank.connection, account, bank.window, cursor=None, psu=None):
        pass


def _secrets(bank: BankUnderTest, account: BankAccount) -> list[str]:
    named = (bank.connection.consent_id, account.provider_id, account.iban, account.name)
    return [text for text in named if text]
