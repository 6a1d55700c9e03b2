"""The host's process dies between the bank's answer and the store's write: what the person sees, and what is left."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from tests.acceptance.deployment import Deployment
from tests.contracts.sandboxed import KEY
from tests.processes import ROOT, Processes, Running, Valkey, free_port
from tests.waiting import wait_until

INSTITUTIONS = {"eb": "DE:Sandbox Bank", "gc": "SANDBOXFINANCE_SFIN0000"}
#: of these a code is good for one use: what it was worth died with the process
ONE_USE = ("eb", "oauth")


@dataclass
class Host:
    """The example's host, which can be killed and started again on its port."""

    deployment: Deployment
    banks: dict[str, str]
    port: int
    running: Running | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; return once it serves."""
        page = str(ROOT / "examples" / "connect_page.py")
        self.running = self.deployment.processes.python("page", page, environment=self.deployment.environment)
        self.running.line_sync("Running on")

    def kill(self) -> None:
        """End it at once."""
        assert self.running is not None
        self.running.kill()

    def connections(self, bank: str) -> list[tuple[Any, ...]]:
        """Return the connections of a bank: id, status, consent."""
        return self.deployment.query("SELECT id, status, consent_id FROM bank_connections WHERE bank = ?", bank)

    def forget_claims(self) -> None:
        """Let three minutes pass, as far as who is asking the bank is concerned."""
        past = datetime.now(UTC) - timedelta(minutes=3)
        self.deployment.write("UPDATE bank_authorisations SET claimed_at = ? WHERE step = 'finishing'", past)


@pytest.fixture(scope="module")
def host(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One host and two banks, of which one authorises by OAuth."""
    processes = Processes(tmp_path_factory.mktemp("killed"))
    deployment = Deployment(processes, valkey.url(valkey.databases - 70), {})
    deployment.start_bank()
    other = processes.python("sandbox", "-m", "bankimport", "sandbox", "--oauth", "--port", "0")
    oauth_url = other.line_sync("the sandbox bank serves").split()[-1]
    port = free_port()
    banks = {
        "bg": {"type": "berlin-group", "base_url": deployment.bank_url, "own_address": "93.184.216.34"},
        "oauth": {"type": "berlin-group", "base_url": oauth_url, "own_address": "93.184.216.34", "client_id": "us"},
        "eb": {"type": "enable-banking", "base_url": deployment.bank_url, "application_id": "a", "private_key": KEY},
        "gc": {"type": "gocardless", "base_url": deployment.bank_url, "secret_id": "i", "secret_key": "k"},
    }
    deployment.variables |= {
        "BANK_SYNC_BANKS": json.dumps(banks),
        "BANK_SYNC_CALLBACK_URL": f"http://127.0.0.1:{port}/api/callback",
        "BANK_SYNC_RETURN_TO": f"http://127.0.0.1:{port}/",
        "HOST_PORT": str(port),
    }
    deployment.bankimport("db", "upgrade")
    host = Host(deployment, {name: str(bank["base_url"]) for name, bank in banks.items()}, port)
    host.start()
    yield host
    processes.end()


@pytest.fixture
async def anna() -> AsyncIterator[aiohttp.ClientSession]:
    """The browser of somebody who is signed in."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookies={"user": "anna"}, cookie_jar=jar) as session:
        yield session


async def at_bank(host: Host, anna: aiohttp.ClientSession, bank: str, path: str = "") -> str:
    """Begin, and consent; return where the bank sends the browser."""
    body = {"returnTo": f"{host.url}/", **({} if path else {"bank": bank})}
    body |= {"institution": INSTITUTIONS[bank]} if bank in INSTITUTIONS else {}
    async with anna.post(f"{host.url}/api/organisations/acme/bank-connections{path}", json=body) as answer:
        assert answer.status == 201, await answer.text()
        begun = await answer.json()
    async with anna.get(begun["url"]) as page:
        form = {"person": f"anna-{bank}", "decision": "consent"}
    async with anna.post(page.url, data=form, allow_redirects=False) as sent:
        return sent.headers["Location"]


async def outcome(anna: aiohttp.ClientSession, url: str) -> str:
    """Come back from the bank; return what the host's page is told."""
    async with anna.get(url, allow_redirects=False) as answer:
        assert answer.status == 303, await answer.text()
        return parse_qs(urlsplit(answer.headers["Location"]).query)["outcome"][0]


async def killed(host: Host, anna: aiohttp.ClientSession, bank: str, url: str, consent: str) -> None:
    """Come back from the bank, and let the host die while it looks at the new consent."""
    sandbox = f"{host.banks[bank]}/sandbox/consents/{consent}"
    async with anna.post(f"{sandbox}/switches", json={"kind": "slow", "seconds": 60, "endpoint": "consent"}) as armed:
        assert armed.status == 201
    coming = asyncio.create_task(outcome(anna, url))

    async def is_asked() -> bool:
        async with anna.get(f"{sandbox}/requests") as answer:
            return bool((await answer.json())["requests"])

    await wait_until(is_asked)
    host.kill()
    with pytest.raises(aiohttp.ClientError):
        await coming
    async with anna.delete(f"{sandbox}/switches") as cleared:
        assert cleared.status == 204
    host.start()
    host.forget_claims()


@pytest.mark.parametrize("bank", ["bg", "oauth", "eb", "gc"])
async def test_killed_while_it_connects(host: Host, anna: aiohttp.ClientSession, bank: str) -> None:
    """Loading the page again ends it: connected where the consent's id was known, else in words, with nothing left
    over; who begins again has one connection."""
    url = await at_bank(host, anna, bank)
    await killed(host, anna, bank, url, f"anna-{bank}~1")
    assert [status for _, status, _ in host.connections(bank)] == ["PENDING"]
    if bank in ONE_USE:
        assert await outcome(anna, url) == "failed"
        assert host.connections(bank) == []
        [(reason,)] = host.deployment.query("SELECT reason FROM bank_authorisations WHERE bank = ?", bank)
        assert reason == "code-used"
        assert await outcome(anna, await at_bank(host, anna, bank)) == "connected"
    else:
        assert await outcome(anna, url) == "connected"
    assert await outcome(anna, url) in ("connected", "failed"), "once more, the same"
    [(connection_id, status, before)] = host.connections(bank)
    assert status == "ACTIVE"

    count = 3 if bank in ONE_USE else 2
    url = await at_bank(host, anna, bank, f"/{connection_id}/renew")
    await killed(host, anna, bank, url, f"anna-{bank}~{count}")
    assert host.connections(bank) == [(connection_id, "ACTIVE", before)], "the old consent serves on"
    assert await outcome(anna, url) == ("failed" if bank in ONE_USE else "renewed")
    [(again, status, after)] = host.connections(bank)
    assert (again, status, after == before) == (connection_id, "ACTIVE", bank in ONE_USE)
