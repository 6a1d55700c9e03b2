"""The page of `examples/connect_page.py` in a real browser: a person walks to the bank and back."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from arq.connections import RedisSettings, create_pool

from tests.acceptance.deployment import Deployment
from tests.browser.chromium import BINARY, Tab, tab
from tests.processes import ROOT, Processes, Valkey, free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(BINARY is None, reason="there is no Chromium on this machine")


@pytest.fixture
async def host(valkey: Valkey, processes: Processes) -> AsyncIterator[Deployment]:
    """A bank, a worker and the example's host, each a process."""
    deployment = Deployment(processes, valkey.url(valkey.databases - 60), {})
    deployment.start_bank()
    deployment.host_url = f"http://127.0.0.1:{free_port()}"
    bank = {
        "type": "berlin-group",
        "base_url": deployment.bank_url,
        "unattended_limit": None,
        "own_address": "93.184.216.34",
    }
    deployment.variables |= {
        "BANK_SYNC_BANKS": json.dumps({"sandbox": bank}),
        "BANK_SYNC_CALLBACK_URL": f"{deployment.host_url}/api/callback",
        "BANK_SYNC_RETURN_TO": f"{deployment.host_url}/",
        "HOST_PORT": deployment.host_url.rpartition(":")[2],
    }
    deployment.bankimport("db", "upgrade")
    await deployment.start_worker().line("worker.started")
    running = processes.python("page", str(ROOT / "examples" / "connect_page.py"), environment=deployment.environment)
    await running.line("Running on")
    yield deployment
    running.stop(10)


@pytest.fixture
async def page(host: Deployment, processes: Processes) -> AsyncIterator[Tab]:
    """The browser of a person who is signed in."""
    async with tab(processes) as page:
        await page.goto(f"{host.host_url}/?as=anna")
        yield page
        assert page.errors == []


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP session of the test's own."""
    async with aiohttp.ClientSession() as session:
        yield session


async def to_the_bank(page: Tab, button: str) -> None:
    """Press a button of the host's page, and wait for the bank's."""
    await page.click(f"[...document.querySelectorAll('button')].find(each => each.textContent === '{button}')")
    await page.wait_for("document.title === 'Sandbox Bank'")


async def press(page: Tab, decision: str) -> None:
    """Press a button of the bank's page, and wait until the person has left it."""
    await page.click(f"document.querySelector('button[value={decision}]')")
    await page.wait_for("document.title !== 'Sandbox Bank' && document.readyState === 'complete'")


async def outcome(page: Tab, words: str) -> None:
    """Wait until the host's page says how it ended."""
    await page.wait_for(f"(document.getElementById('outcome') || {{}}).textContent?.includes('{words}')")


async def test_a_person_walks(host: Deployment, page: Tab) -> None:
    """Cancelled, refused, connected, imported, renewed, revoked: each said in words, and no account twice."""
    for decision, words in (("cancel", "Cancelled"), ("refuse", "The bank could not"), ("consent", "is connected")):
        await to_the_bank(page, "Connect a bank")
        await press(page, decision)
        await outcome(page, words)
    [(connection_id, status)] = host.query("SELECT id, status FROM bank_connections")
    assert status == "ACTIVE"
    await page.wait_for("(document.querySelector('li')?.dataset.synced || '') !== ''")
    rows = len(host.transactions(connection_id))
    assert rows > 50

    await page.goto(f"{host.host_url}/?as=anna")
    await page.wait_for("document.querySelector('li') !== null")
    await to_the_bank(page, "Renew")
    await press(page, "consent")
    await outcome(page, "renewed")
    await wait_until(
        lambda: len(host.query("SELECT id FROM bank_accounts WHERE connection_id = ?", connection_id)) == 3
    )
    assert len(host.transactions(connection_id)) == rows

    await page.wait_for("document.querySelector('li') !== null")
    await page.click("[...document.querySelectorAll('button')].find(each => each.textContent === 'Revoke')")
    await page.wait_for("document.querySelector('li')?.dataset.status === 'DISCONNECTED'")
    assert host.connection(connection_id) == ("DISCONNECTED", None)
    assert len(host.query("SELECT id FROM bank_accounts")) == 3


async def test_a_warned_person_renews(host: Deployment, page: Tab, session: aiohttp.ClientSession) -> None:
    """A consent that ends within days is warned of; the link in the warning leads to the bank, and back the warning is
    gone; the accounts and rows are the same."""
    await to_the_bank(page, "Connect a bank")
    await press(page, "consent")
    await page.wait_for("(document.querySelector('li')?.dataset.synced || '') !== ''")
    [(connection_id, before)] = host.query("SELECT id, consent_id FROM bank_connections")
    accounts, rows = host.query("SELECT id FROM bank_accounts ORDER BY id"), len(host.transactions(connection_id))
    now = datetime.now(UTC)
    # by the bank's calendar 85 days ago, its 90 days end in five of ours
    await set_clock(host, session, now - timedelta(days=85))
    last_day = (now + timedelta(days=5)).date().isoformat()
    host.write("UPDATE bank_connections SET consent_valid_until = ?", last_day)
    pool = await create_pool(RedisSettings.from_dsn(host.redis_url))
    await pool.enqueue_job("refresh-consents", _queue_name="bank-import")
    await pool.aclose()
    await page.wait_for("document.querySelector('.warning a') !== null")
    assert host.connection(connection_id) == ("REQUIRES_REAUTH", f"consent-ending:{last_day}:7")

    await set_clock(host, session, now)
    await page.click("document.querySelector('.warning a')")
    await page.wait_for("document.title === 'Sandbox Bank'")
    await press(page, "consent")
    await outcome(page, "renewed")
    await page.wait_for("document.querySelector('li')?.dataset.status === 'ACTIVE'")
    assert await page.evaluate("document.querySelector('.warning') === null")
    [(after,)] = host.query("SELECT consent_id FROM bank_connections")
    assert after != before
    await wait_until(lambda: len(host.query("SELECT 1 FROM bank_accounts WHERE consent_id = ?", after)) == 3)
    assert host.query("SELECT id FROM bank_accounts ORDER BY id") == accounts
    assert len(host.transactions(connection_id)) == rows


async def set_clock(host: Deployment, session: aiohttp.ClientSession, now: datetime) -> None:
    """Set the bank's clock."""
    async with session.put(f"{host.bank_url}/sandbox/clock", json={"now": now.isoformat()}) as answer:
        assert answer.status == 200


async def test_a_late_callback(host: Deployment, page: Tab) -> None:
    """Who comes back after an hour is told that it did not work; nothing is left, and the same page again says so."""
    await to_the_bank(page, "Connect a bank")
    host.write("UPDATE bank_authorisations SET expires_at = ?", datetime.now(UTC) - timedelta(seconds=1))
    await press(page, "consent")
    await outcome(page, "It did not work")
    assert host.query("SELECT id FROM bank_connections") == []
    [ended] = host.query("SELECT outcome, reason FROM bank_authorisations")
    assert ended == ("failed", "too-late")
    await to_the_bank(page, "Connect a bank")
    await press(page, "consent")
    await outcome(page, "is connected")


async def test_callbacks_of_others(host: Deployment, page: Tab) -> None:
    """A foreign state, and the address that another user began, end in a page of our own words; who began still can;
    the same callback once more has the same answer."""
    await page.goto(f"{host.host_url}/api/callback/sandbox?state=guessed&error_description=<script>alert(1)</script>")
    assert await page.evaluate("document.querySelector('h1').textContent") == "This link is not yours"
    assert "alert" not in await page.evaluate("document.documentElement.outerHTML")

    await page.goto(f"{host.host_url}/?as=anna")
    await to_the_bank(page, "Connect a bank")
    bank_page = await page.evaluate("location.href")
    await page.goto(f"{host.host_url}/?as=ben")
    await page.goto(bank_page)
    await press(page, "consent")
    assert await page.evaluate("document.querySelector('h1').textContent") == "This link is not yours"
    callback = await page.evaluate("location.href")
    assert host.query("SELECT status FROM bank_connections") == [("PENDING",)]

    await page.goto(f"{host.host_url}/?as=anna")
    for _ in range(2):
        await page.goto(callback)
        await outcome(page, "is connected")
    assert host.query("SELECT status FROM bank_connections") == [("ACTIVE",)]
