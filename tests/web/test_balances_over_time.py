"""`get_balances`: over time, of an organisation's own account alone."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from bankimport import BankImport, Settings
from bankimport.errors import InvalidRequest, NotFound
from bankimport.models import Balance, BankAccount, BankConnection
from bankimport.testing import MemoryStore
from tests.web.serving import FakeService, Host


async def test_of_ones_own_account_alone(settings: Settings) -> None:
    """Days in the wrong order, another's connection and an account that isn't there are refused."""
    store = MemoryStore(BankConnection("giro", "acme", "bank"))
    connection = await store.connection("giro")
    assert connection is not None
    [account] = await store.upsert_accounts(connection, [BankAccount("r", "k", "EUR")], fence=1)
    now = datetime.now(UTC)
    await store.put_balances(account, [Balance("closingBooked", Decimal("1.10"), "EUR", None, now)])
    async with BankImport(settings, banks={}, store=store) as bank_import:
        since = now.date() - timedelta(days=7)
        [balance] = await bank_import.get_balances("giro", account.id, since=since, org_id="acme")
        assert balance.amount == Decimal("1.10")
        until = now.date() - timedelta(days=1)
        assert list(await bank_import.get_balances("giro", account.id, since=since, until=until)) == []
        for name, id_, org_id in (
            ("giro", account.id, "globex"),
            ("giro", "none", "acme"),
            ("none", account.id, "acme"),
        ):
            with pytest.raises(NotFound):
                await bank_import.get_balances(name, id_, since=since, org_id=org_id)
        with pytest.raises(InvalidRequest, match="/since"):
            await bank_import.get_balances("giro", account.id, since=now.date() + timedelta(days=2))


async def test_over_http(host: Host, service: FakeService) -> None:
    """Amounts are text, days are UTC's, and ninety of them are shown unless somebody says which."""
    status, answer, headers = await host.call("GET", "/giro/accounts/acc_1/balances?until=2026-04-01")
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    assert answer == {
        "since": "2026-01-01",
        "until": "2026-04-01",
        "balances": [{"day": "2026-03-31", "balanceType": "closingBooked", "amount": "-1234.50", "currency": "EUR",
                      "fetchedAt": "2026-03-31T23:30:00Z"}],
    }  # fmt: skip
    assert service.calls[-1] == ("balances", "giro", "acc_1", {
        "since": date(2026, 1, 1), "until": date(2026, 4, 1), "org_id": "acme"})  # fmt: skip
    assert await host.problem("GET", "/giro/accounts/nix/balances") == (404, "not-found")


@pytest.mark.parametrize(
    "query", ["since=2026-02-30", "until=1.1.2026", "since=2025-01-01&until=2026-01-03", "since=2026-01-02&until=2026-01-01",
              "until=0001-01-01&since=0001-01-02", "until=٢٠٢٦-01-01", "days=3"],
)  # fmt: skip
async def test_days_that_are_none(host: Host, service: FakeService, query: str) -> None:
    """Days that don't exist, are written otherwise, or span more than a year ask nothing of the store."""
    assert (await host.problem("GET", f"/giro/accounts/acc_1/balances?{query}"))[0] == 422
    assert service.calls == []
