"""What every `BankProvider` must do. A provider's test subclasses `ProviderContract` and gives it a `bank` fixture: a
provider, a connection at a bank that behaves, and the bank's present day."""

from dataclasses import dataclass, replace
from datetime import date, timedelta

from bankimport.imports import read_transaction
from bankimport.imports.accounts import assign
from bankimport.models import BankConnection, ConsentStatus, Page, Transaction, TransactionStatus, Window
from bankimport.ports import BankProvider


@dataclass(frozen=True)
class Bank:
    """A bank under test."""

    provider: BankProvider
    connection: BankConnection
    renewed: BankConnection
    today: date


async def all_pages(bank: Bank, window: Window, account: int = 0) -> list[Page]:
    """Read a window of one account completely."""
    accounts = await bank.provider.accounts(bank.connection, None)
    pages = bank.provider.transactions(bank.connection, accounts[account], window, cursor=None, psu=None)
    return [page async for page in pages if isinstance(page, Page)]


class ProviderContract:
    """The promises, one a test."""

    def test_it_is_a_provider(self, bank: Bank) -> None:
        """It has every method of the port."""
        assert isinstance(bank.provider, BankProvider)

    async def test_a_valid_consent_says_so(self, bank: Bank) -> None:
        """Its status and its last day."""
        consent = await bank.provider.consent(bank.connection, None)
        assert consent.status is ConsentStatus.VALID
        assert consent.valid_until is None or consent.valid_until >= bank.today

    async def test_accounts_are_recognised_over_a_renewed_consent(self, bank: Bank) -> None:
        """Resource ids may be new; what names the accounts tells who is whom, and none is taken for another."""
        before = await bank.provider.accounts(bank.connection, None)
        stored = [replace(one, id=str(n), consent_id=bank.connection.consent_id) for n, one in enumerate(before)]
        after = await bank.provider.accounts(bank.renewed, None)
        decided = assign([replace(account, consent_id=bank.renewed.consent_id) for account in after], stored)
        assert [(account.id, account.undecided) for account in decided.accounts] == [(one.id, None) for one in stored]
        assert decided.away == ()

    async def test_balances_are_exact(self, bank: Bank) -> None:
        """At least one balance, in the account's currency."""
        [account, *_] = await bank.provider.accounts(bank.connection, None)
        balances = await bank.provider.balances(bank.connection, account, None)
        assert balances
        assert {balance.currency for balance in balances} == {account.currency}

    async def test_every_row_of_a_window_can_be_read(self, bank: Bank) -> None:
        """Several pages, the last without a cursor; each row passes the import's own reading."""
        window = Window(bank.today - timedelta(days=80))
        pages = await all_pages(bank, window)
        assert len(pages) > 1
        assert [page.cursor is None for page in pages] == [False] * (len(pages) - 1) + [True]
        rows = [read_transaction(row, "EUR") for page in pages for row in page.transactions]
        assert all(isinstance(row, Transaction) for row in rows)
        statuses = {row.status for row in rows if isinstance(row, Transaction)}
        assert statuses == {TransactionStatus.BOOKED, TransactionStatus.PENDING}

    async def test_reading_goes_on_after_a_cursor(self, bank: Bank) -> None:
        """From a page's cursor come exactly the pages after it."""
        window = Window(bank.today - timedelta(days=80))
        pages = await all_pages(bank, window)
        [account, *_] = await bank.provider.accounts(bank.connection, None)
        rest = bank.provider.transactions(bank.connection, account, window, cursor=pages[0].cursor, psu=None)
        assert [page async for page in rest] == pages[1:]

    async def test_two_reads_say_the_same(self, bank: Bank) -> None:
        """Nothing of a read depends on the one before."""
        window = Window(bank.today - timedelta(days=30), bank.today)
        assert await all_pages(bank, window) == await all_pages(bank, window)
