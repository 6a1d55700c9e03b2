"""All three providers pass one contract at the sandbox, and say the same of the same people."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from bankimport.models import Balance, Page, Window
from bankimport.ports import BankProvider
from bankimport.reading import read_transaction
from bankimport.sandbox import BankClock, Kind, create_app
from bankimport.sandbox.writing import ROWS
from bankimport.testing.contracts import BankUnderTest, ProviderContract
from tests.contracts.conftest import Serve
from tests.contracts.sandboxed import ALL, NOW, connection, misbehave, under_test


@pytest.fixture
async def url(serve: Serve) -> str:
    """The sandbox, its clock fixed."""
    return await serve(create_app(clock=BankClock(NOW), page_size=40))


class TestProviders(ProviderContract):
    """The contract, three times."""

    @pytest.fixture(params=ALL)
    async def bank(self, request: pytest.FixtureRequest, url: str) -> AsyncIterator[BankUnderTest]:
        """The sandbox through each provider."""
        provider = ALL[request.param](url)
        yield under_test(url, provider)
        await provider.aclose()


async def what_it_says(provider: BankProvider, consent: str = "consent-1") -> Any:
    """Return all that a provider tells of a person, without what is each API's own."""
    told: list[Any] = []
    for account in await provider.accounts(connection(consent), None):
        balances = await provider.balances(connection(consent), account, None)
        pages = provider.transactions(
            connection(consent), account, Window(NOW.date() - timedelta(days=80)), cursor=None, psu=None
        )
        rows = [row async for page in pages if isinstance(page, Page) for row in page.transactions]
        read = [bank_row(row, account.currency) for row in rows]
        told.append(
            (
                (account.iban, account.currency, account.name, account.kind),
                sorted(
                    (b.balance_type, b.amount, b.currency, b.reference_date) for b in balances if isinstance(b, Balance)
                ),
                sorted(read, key=str),
            )
        )
    return told


def bank_row(row: Any, currency: str | None) -> Any:
    """Return a row as the import reads it, without its ids and raw form."""
    entry: Any = read_transaction(row, currency, NOW.date())
    return (
        entry.status, entry.day, entry.amount, entry.currency, entry.booking_date, entry.value_date,
        entry.counterparty_name, entry.counterparty_iban, entry.remittance,
    )  # fmt: skip


async def test_all_three_say_the_same_of_one_person(url: str) -> None:
    """Accounts, balances and every row, down to the texts."""
    told = []
    for make in ALL.values():
        provider = make(url)
        told.append(await what_it_says(provider))
        await provider.aclose()
    assert told[0] == told[1] == told[2]
    assert sum(len(rows) for _, _, rows in told[0]) > 200


@pytest.mark.parametrize("name", ["enable-banking", "gocardless"])
@pytest.mark.parametrize("kind", [*ROWS, Kind.EMPTY_PAGES], ids=lambda kind: kind.value)
async def test_habits_of_writing_come_through_every_api(url: str, name: str, kind: Kind) -> None:
    """Whatever a bank does to its rows, no API hides a row because of it."""
    if kind is Kind.BILLED_IN_TEXT:
        pytest.skip("told by an option, seen with Berlin Group")
    provider = ALL[name](url, **({"ignore_ids": True} if kind is Kind.SHARED_IDS else {}))
    [account, *_] = await provider.accounts(connection(), None)
    window = Window(NOW.date() - timedelta(days=80))

    async def count() -> int:
        pages = provider.transactions(connection(), account, window, cursor=None, psu=None)
        rows = [row async for page in pages if isinstance(page, Page) for row in page.transactions]
        return len([row for row in rows if bank_row(row, account.currency)])

    plain = await count()
    await misbehave(url, kind)
    assert await count() == plain
    await provider.aclose()
