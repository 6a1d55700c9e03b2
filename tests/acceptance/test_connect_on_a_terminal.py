"""`bankimport connect`, as a process: a person walks the bank's pages, and comes back to a port of this machine."""

import re
import signal
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.acceptance.conftest import Deploy
from tests.acceptance.deployment import Deployment
from tests.contracts.sandboxed import KEY
from tests.processes import Running
from tests.waiting import wait_until

BANKS = {
    "bg": {"type": "berlin-group", "own_address": "93.184.216.34", "unattended_limit": None},
    "eb": {"type": "enable-banking", "application_id": "app-1", "private_key": KEY},
    "gc": {"type": "gocardless", "secret_id": "i", "secret_key": "k"},
    "app": {"type": "berlin-group", "approach": "decoupled", "own_address": "93.184.216.34"},
}
INSTITUTIONS = {
    "bg": (),
    "app": (),
    "eb": ("--institution", "DE:Sandbox Bank"),
    "gc": ("--institution", "SANDBOXFINANCE_SFIN0000"),
}


@pytest.fixture(scope="module")
def deployment(deploy: Deploy) -> Deployment:
    """A bank that speaks three APIs, and a worker."""
    return deploy(more_banks=BANKS)


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    """The person's browser."""
    async with aiohttp.ClientSession() as browser:
        yield browser


def connect(deployment: Deployment, bank: str, *more: str, org: str = "acme", **variables: str) -> Running:
    """Type the command."""
    words = ["connect", "--bank", bank, "--org", org, "--no-browser", *INSTITUTIONS[bank], *more]
    environment = {**deployment.environment, **variables}
    return deployment.processes.python("connect", "-m", "bankimport", *words, environment=environment)


async def at_bank(browser: aiohttp.ClientSession, terminal: Running, person: str, decision: str = "consent") -> str:
    """Open the address that the terminal shows and decide; return where the bank sends the browser."""
    line = await terminal.line("/sandbox/authorise/")
    async with browser.post(line.strip(), data={"person": person, "decision": decision}, allow_redirects=False) as sent:
        assert sent.status == 303, await sent.text()
        return sent.headers["Location"]


async def ended(terminal: Running) -> int:
    """Wait for the command's end; return its exit code."""
    await wait_until(lambda: terminal.ended, what=f"the end of {terminal.output()}")
    return terminal.process.wait()


@pytest.mark.parametrize("bank", ["bg", "eb", "gc"])
async def test_a_person_connects_and_renews(deployment: Deployment, browser: aiohttp.ClientSession, bank: str) -> None:
    """The accounts are printed; a renewal is of the same ones."""
    terminal = connect(deployment, bank)
    back = await at_bank(browser, terminal, f"anna-{bank}")
    assert back.startswith("http://127.0.0.1:")
    async with browser.get(back) as page:
        assert (page.status, "Your bank is connected" in await page.text()) == (200, True)
    assert await ended(terminal) == 0, terminal.output()
    said = terminal.output()
    connection_id = re.search(r"connection: (\S+)", said)[1]  # type: ignore[index]  # it is there, or the test fails
    accounts = deployment.query("SELECT id, iban FROM bank_accounts WHERE connection_id = ?", connection_id)
    assert len(accounts) == 3
    assert [account_id for account_id, _ in accounts if account_id not in said] == []
    assert [iban for _, iban in accounts if iban in said] == []
    assert re.search(r"Sync completed: \d+ new transactions", said), said

    [(before,)] = deployment.query("SELECT consent_id FROM bank_connections WHERE id = ?", connection_id)
    terminal = connect(deployment, bank, "--connection", connection_id)
    async with browser.get(await at_bank(browser, terminal, f"anna-{bank}")) as page:
        assert "is renewed" in await page.text()
    assert await ended(terminal) == 0, terminal.output()
    [(after,)] = deployment.query("SELECT consent_id FROM bank_connections WHERE id = ?", connection_id)
    assert after != before
    again = deployment.query("SELECT id, iban FROM bank_accounts WHERE connection_id = ?", connection_id)
    assert sorted(again) == sorted(accounts)


async def test_a_person_says_no_after_a_stranger_has_called(
    deployment: Deployment, browser: aiohttp.ClientSession
) -> None:
    """A guessed state, and every other route, are refused; what the person decided is said, and nothing is left."""
    terminal = connect(deployment, "bg")
    back = await at_bank(browser, terminal, "ben", "cancel")
    here = back.partition("/callback")[0]
    async with browser.get(f"{here}/callback/bg?state=guessed") as page:
        assert page.status == 403
    async with browser.get(f"{here}/organisations/acme/bank-connections") as page:
        assert page.status == 403
    async with browser.get(back) as page:
        assert "Cancelled" in await page.text()
    assert await ended(terminal) == 1
    assert "Cancelled: nothing was changed." in terminal.output()
    assert deployment.query("SELECT id FROM bank_connections WHERE status = 'PENDING'") == []


async def test_a_person_consents_in_the_banks_app(deployment: Deployment, browser: aiohttp.ClientSession) -> None:
    """There is no address; the command waits until the bank says that it is done."""
    terminal = connect(deployment, "app", "--psu-id", "emma-1")
    await terminal.line("in your bank's own app")
    async with browser.get(f"{deployment.bank_url}/sandbox/app/emma-1") as app:
        [path] = re.findall(r'href="([^"]+)"', await app.text())
    async with browser.post(deployment.bank_url + path, data={"person": "emma", "decision": "consent"}) as sent:
        assert sent.status == 200
    assert await ended(terminal) == 0, terminal.output()
    assert "Connected." in terminal.output()


async def test_it_is_given_up(deployment: Deployment, browser: aiohttp.ClientSession) -> None:
    """Ctrl-C: the connection that waited is gone."""
    terminal = connect(deployment, "bg")
    await terminal.line("Waiting for the bank")
    assert len(deployment.query("SELECT id FROM bank_connections WHERE status = 'PENDING'")) == 1
    terminal.signal(signal.SIGINT)
    assert await ended(terminal) != 0
    assert "Traceback" not in terminal.output()
    assert deployment.query("SELECT id FROM bank_connections WHERE status = 'PENDING'") == []


async def test_without_a_worker(deployment: Deployment, browser: aiohttp.ClientSession) -> None:
    """It is connected all the same, and said what is missing."""
    terminal = connect(deployment, "bg", BANK_SYNC_QUEUE_NAME="a-queue-without-a-worker")
    async with browser.get(await at_bank(browser, terminal, "clara")) as page:
        assert page.status == 200
    assert await ended(terminal) == 0
    assert "`arq bankimport.WorkerSettings`" in terminal.output()


@pytest.mark.parametrize(
    ("bank", "more", "org", "said"),
    [
        ("bg", ("--connection", "nobody"), "acme", "no such connection"),
        ("bg", ("--port", "HOST"), "acme", "of 127.0.0.1 is taken"),
        ("bg", ("--institution", "DE:Sandbox Bank"), "acme", "this bank is one"),
        ("eb", ("--institution", "nobody"), "acme", "/institution"),
        ("bg", (), "ac me", "/orgId"),
    ],
)
async def test_a_wrong_word(deployment: Deployment, bank: str, more: tuple[str, ...], org: str, said: str) -> None:
    """One line, and an exit code."""
    words = [deployment.host_url.rpartition(":")[2] if word == "HOST" else word for word in more]
    terminal = connect(deployment, bank, *words, org=org)
    assert await ended(terminal) == (3 if "nobody" in more[1:2] and bank == "bg" else 2)
    assert said in terminal.output()
    assert "Traceback" not in terminal.output()
