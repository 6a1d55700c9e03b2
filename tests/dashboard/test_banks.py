"""The page *Banks*: how each bank answers over all processes, what it was asked, and how its connections are."""

from datetime import timedelta

import pytest

from bankimport import BankImport, Settings
from bankimport.models import BankConnection, Period, RequestOutcome
from bankimport.providers import BerlinGroup
from bankimport.testing import MemoryStore, run_until_idle
from tests.web.test_dashboard import NAMES, Pages, served

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq calls it
OK, AWAY = RequestOutcome.ANSWERED, RequestOutcome.NO_ANSWER
SOON = timedelta(milliseconds=420)


async def test_a_bank_that_fails_stands_first(pages: Pages, bank_import: BankImport) -> None:
    """It is named in the heading, with since when, how often, how many connections are there, and what to do."""
    figures = bank_import.figures
    assert "No bank was asked in the last 24 hours" in await pages.get("/banks")
    for _ in range(19):
        figures.heard("bank", OK, SOON)
    figures.heard("bank", RequestOutcome.LIMITED, SOON)
    figures.deferred("bank")
    await figures.tell()
    text = await pages.get("/banks")
    assert "The bank that was asked answers" in text
    assert "95 % within" in text
    german = await pages.get("/banks", **{"Accept-Language": "de"})
    for each in ("95 % binnen", "1 zu viele", "Aufgeschoben", "5\N{NO-BREAK SPACE}%"):
        assert each in german, each
    assert 'href="/api/dashboard/connections?bank=bank">3<' in text
    for _ in range(3):
        figures.heard("bank", AWAY, SOON)
    await figures.tell()
    text = await pages.get("/banks")
    assert "1 of 2 banks fails: bank, for" in text
    assert "Does not answer since" in text
    assert "3 requests failed in a row" in text
    assert "3 connections are there" in text
    assert "retry its failed jobs" in text
    assert "17\N{NO-BREAK SPACE}%" in text
    now = await pages.get("")
    assert "<h1>No worker is alive</h1>" in now
    assert "Does not answer since" in now
    assert "bank=bank" in now


async def test_a_bank_that_is_not_configured(pages: Pages) -> None:
    """Connections of a bank that this host hasn't are shown, with its name as text and no link that can't work."""
    text = await pages.get("/banks")
    assert "Not configured here" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "bank=%3Cscript" not in text


@pytest.mark.parametrize("period", list(Period))
async def test_periods_are_in_the_address(pages: Pages, bank_import: BankImport, period: Period) -> None:
    """Each period can be shared, and another is refused."""
    bank_import.figures.heard("bank", OK, SOON)
    await bank_import.figures.tell()
    text = await pages.get(f"/banks?period={period}")
    assert f'period={period}" aria-current="true"' in text
    await pages.get("/banks?period=year", status=422)


async def test_what_a_real_provider_asks_is_counted(settings: Settings) -> None:
    """Syncs at a bank that nobody runs: each try to reach it is a request without an answer, of this bank."""
    store = MemoryStore(*(BankConnection(name, "acme", "gone", consent_id="c") for name in NAMES))
    banks = {"gone": BerlinGroup("http://127.0.0.1:1"), "quiet": BerlinGroup("http://127.0.0.1:1")}
    async with BankImport(settings, banks=banks, store=store) as own, served(own) as pages:
        for name in NAMES:
            await own.schedule_immediate_sync(name)
        await run_until_idle(own)
        await own.figures.tell()
        gone, quiet = await own.get_banks(Period.HOUR)
        assert (gone.name, quiet.name) == ("gone", "quiet")
        assert gone.errors == {AWAY: 3}
        assert gone.requests == 3
        assert gone.is_failing
        assert quiet.requests == 0
        assert "1 of 2 banks fails: gone, for" in await pages.get("/banks")
