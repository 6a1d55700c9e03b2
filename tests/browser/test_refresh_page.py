"""The page of `examples/refresh_page.py` in a real browser, on a real bank, worker and host, each a process."""

import itertools
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from tests.acceptance.deployment import Deployment
from tests.browser.chromium import BINARY, Tab, tab
from tests.processes import ROOT, Processes, Running, Valkey, free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(BINARY is None, reason="there is no Chromium on this machine")

_numbers = itertools.count()
KINDS = pytest.mark.parametrize("kind", ["ws", "sse"])


class Site:
    """The example's host, which can be stopped and started again at the same address."""

    def __init__(self, deployment: Deployment, connection: str) -> None:
        self.deployment = deployment
        self.connection = connection
        self.port = free_port()
        self.running: Running | None = None

    async def start(self) -> None:
        """Start it."""
        environment = {**self.deployment.environment, "HOST_PORT": str(self.port)}
        program = str(ROOT / "examples" / "refresh_page.py")
        self.running = self.deployment.processes.python("page", program, environment=environment)
        await self.running.line("Running on")

    def stop(self) -> int:
        """Stop it as a deploy does."""
        assert self.running is not None
        return self.running.stop(10)


@pytest.fixture(scope="module")
def deployment(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A bank and a worker for the tests of this module."""
    processes = Processes(tmp_path_factory.mktemp("browser"))
    # from the far end, beyond those of the acceptance tests
    deployment = Deployment(processes, valkey.url(valkey.databases - 100), {"BANK_SYNC_RETRY_DELAY_SCALE": "0.01"})
    try:
        deployment.start_bank()
        deployment.bankimport("db", "upgrade")
        deployment.start_worker().line_sync("worker.started")
        yield deployment
    finally:
        processes.end()


@pytest.fixture
def connection(deployment: Deployment) -> str:
    """A connection of the test's own."""
    name = f"giro-{next(_numbers)}"
    deployment.add_connection(name)
    return name


@pytest.fixture
async def site(deployment: Deployment, connection: str) -> AsyncIterator[Site]:
    """The host with the page."""
    site = Site(deployment, connection)
    await site.start()
    yield site
    site.stop()


@pytest.fixture
async def page(site: Site, processes: Processes) -> AsyncIterator[Tab]:
    """The browser."""
    async with tab(processes) as page:
        yield page
        assert page.errors == []


async def misbehave(site: Site, **switch: object) -> None:
    """Let the connection's bank misbehave."""
    url = f"{site.deployment.bank_url}/sandbox/consents/consent-{site.connection}/switches"
    async with aiohttp.ClientSession() as session, session.post(url, json=switch) as answer:
        assert answer.ok, await answer.text()


async def begin(site: Site, page: Tab, kind: str) -> None:
    """Open the page, note every value of the bar, and press the button."""
    await page.goto(f"http://127.0.0.1:{site.port}/?connection={site.connection}{'&sse' if kind == 'sse' else ''}")
    await page.evaluate(
        "window.seen = []; new MutationObserver(() => seen.push(+document.getElementById('bar').value))"
        ".observe(document.querySelector('main'), {attributes: true, childList: true, subtree: true})"
    )
    await page.click("document.getElementById('refresh')")


async def ends(page: Tab, state: str) -> list[int]:
    """Wait for the page to end in a state, without having been loaded again; return the bar's values."""
    await page.wait_for(f"document.querySelector('main').dataset.state === '{state}'")
    assert page.loads == 1
    seen: list[int] = await page.evaluate("seen")
    assert seen == sorted(seen)
    return seen


@KINDS
async def test_the_bar_moves_to_the_end(site: Site, page: Tab, kind: str) -> None:
    """The bar goes up step by step to 100 % without a reload, and the page says what has come."""
    await misbehave(site, kind="slow", seconds=0.12)
    await begin(site, page, kind)
    await page.wait_for(
        f"document.getElementById('line').textContent.includes('{'Server' if kind == 'sse' else 'WebSocket'}')"
    )
    seen = await ends(page, "completed")
    assert seen[-1] == 100
    assert len({value for value in seen if 0 < value < 100}) >= 2
    rows = len(site.deployment.transactions(site.connection))
    assert rows > 0
    assert str(rows) in await page.evaluate("document.getElementById('message').textContent")


@pytest.mark.parametrize("kind", ["ws", pytest.param("sse", marks=pytest.mark.soak)])
async def test_the_host_is_restarted_meanwhile(site: Site, page: Tab, kind: str) -> None:
    """A restart of the host in the middle of a sync is survived: the bar goes on and ends at 100 %."""
    await misbehave(site, kind="slow", seconds=0.2)
    await begin(site, page, kind)
    await page.wait_for("+document.getElementById('bar').value > 0")
    assert site.stop() == 0
    await page.wait_for("document.getElementById('line').textContent.includes('cut')")
    await site.start()
    assert (await ends(page, "completed"))[-1] == 100


async def test_it_ends_while_the_host_is_away(site: Site, page: Tab) -> None:
    """A sync that ends while the host is away is shown as ended when the host is back."""
    await misbehave(site, kind="slow", seconds=0.12)
    worker = next(running for running in site.deployment.processes.started if running.name == "worker")
    ended = worker.output().count("job.finished")
    await begin(site, page, "ws")
    await page.wait_for("+document.getElementById('bar').value > 0")
    assert site.stop() == 0
    await wait_until(lambda: worker.output().count("job.finished") == ended + 1)
    await site.start()
    assert (await ends(page, "completed"))[-1] == 100


async def test_a_sync_that_fails(site: Site, page: Tab) -> None:
    """A sync that fails for good ends in words, not in a bar that stands still."""
    await misbehave(site, kind="service-blocked")
    await begin(site, page, "ws")
    await ends(page, "failed")
    assert "did not work" in await page.evaluate("document.getElementById('message').textContent")
