"""A new user's first minutes in a real browser: `bankimport up`, the link, a bank connected, imported, renewed."""

from collections.abc import AsyncIterator
from importlib import resources

import pytest

from tests.browser.chromium import BINARY, Tab, tab
from tests.processes import Processes, free_port

pytestmark = pytest.mark.skipif(BINARY is None, reason="there is no Chromium on this machine")


@pytest.fixture
async def page(processes: Processes) -> AsyncIterator[Tab]:
    """A browser that has followed the link of the terminal."""
    running = processes.python("up", "-m", "bankimport", "up", "--port", str(free_port()))
    link = (await running.line("Open this:")).split()[-1]
    await running.line("Ctrl-C ends it")
    async with tab(processes) as page:
        await page.send("Log.enable")
        await page.send("Network.enable")
        await page.goto(link)
        yield page
        assert page.errors == []
        assert [url for url in page.requests if url.startswith("http") and "127.0.0.1" not in url] == []
    assert running.stop(30) == 0


async def press(page: Tab, words: str, then: str) -> None:
    """Press the button or link that says this, and wait for what it leads to."""
    found = f"[...document.querySelectorAll('button, a')].find(each => each.textContent.trim().startsWith('{words}'))"
    await page.click(found)
    await page.wait_for(then)


AT_BANK = "document.title === 'Sandbox Bank'"
ONWARD = "document.getElementById('onward') !== null"


async def agree(page: Tab, words: str) -> None:
    """Agree at the bank, and wait for what the page says then."""
    await page.click("document.querySelector('button[value=consent]')")
    await page.wait_for(f"(document.querySelector('[role=status]')?.textContent || '').includes('{words}')")


async def test_a_new_user(page: Tab) -> None:
    """Signed in by the link alone; connects at the bank, sees the import live without a reload, renews, withdraws; and
    the operator reads who did it."""
    assert "bankimport" in await page.evaluate("document.title")
    origin = await page.evaluate("location.origin")
    own = f"{origin}/api/organisations/acme/bank-connections/page"
    await page.goto(own)
    await press(page, "Choose a bank", "document.getElementById('bank') !== null")
    await press(page, "Go to the bank", ONWARD)
    await press(page, "Go to the bank", AT_BANK)
    await agree(page, "is connected")
    await page.wait_for("document.querySelectorAll('section[id^=con-] th .id').length >= 3")

    await page.goto(own)
    new = "[...document.querySelectorAll('section[id^=con-]')].find(each => each.id !== 'con-giro')"
    await page.click(f"{new}.querySelector('form[action$=renew] button')")
    await page.wait_for(ONWARD)
    await press(page, "Go to the bank", AT_BANK)
    await agree(page, "is renewed")

    await page.goto(f"{origin}/api/dashboard/audit")
    await page.wait_for("document.querySelector('main').textContent.includes('Renewed')")
    assert "browser-1" in await page.evaluate("document.querySelector('tbody').textContent")


PAGES = (
    "",
    "/jobs",
    "/failures",
    "/connections",
    "/connections/giro",
    "/banks",
    "/banks?period=week",
    "/workers",
    "/audit",
    "/webhooks",
    "/bulk?action=discard&scope=all&state=completed",
)


async def test_axe_finds_nothing(page: Tab) -> None:
    """On each page, a job's too, wide and on a phone, in the light and in the dark, axe-core finds nothing; and no page
    is wider than its window."""
    axe = resources.files("axe_core_python").joinpath("axe.min.js").read_text()
    origin = await page.evaluate("location.origin")
    await page.goto(f"{origin}/api/dashboard/jobs")
    job = await page.wait_for("document.querySelector('tbody th a')?.getAttribute('href')")
    own = "/api/organisations/acme/bank-connections/page"
    paths = [*(f"/api/dashboard{each}" for each in PAGES), job, f"{own}?connect=1", f"{own}?balances=giro"]
    found: list[str] = []
    for width, scheme in ((1280, "light"), (375, "dark")):
        await page.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        await page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        for path in paths:
            await page.goto(f"{origin}{path}")
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
            await page.evaluate(f"{axe}; void 0")
            said = await page.evaluate(
                "axe.run().then(said => said.violations.map(each => each.id + ': ' + each.nodes[0].html.slice(0, 200)))"
            )
            found += [f"{path} at {width}, {scheme}: {each}" for each in said]
    assert found == []
