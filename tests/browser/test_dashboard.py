"""The operator's pages in a real browser, over a real bank, worker and host, each a process."""

from collections.abc import AsyncIterator, Iterator

import pytest

from bankimport import BankImport
from bankimport.status import JobState
from tests.acceptance.deployment import Deployment
from tests.browser.chromium import BINARY, Tab, tab
from tests.browser.operated import Operated
from tests.processes import Processes, Valkey
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(BINARY is None, reason="there is no Chromium on this machine")

WIDTHS = (320, 375, 820, 1280)


@pytest.fixture(scope="module")
def site(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    """A bank, a worker, and a host with the pages; connections to come."""
    processes = Processes(tmp_path_factory.mktemp("pages"))
    # from the far end, beyond those of the other modules
    deployment = Deployment(processes, valkey.url(valkey.databases - 101), {"BANK_SYNC_RETRY_DELAY_SCALE": "0.01"})
    try:
        deployment.start_bank()
        deployment.bankimport("db", "upgrade")
        deployment.start_worker().line_sync("worker.started")
        site = Operated(deployment)
        site.start_host()
        for name in ("live", "refused", "silent", "well"):
            deployment.insert_connection(name)
        yield site
    finally:
        processes.end()


@pytest.fixture
async def own(site: Operated) -> AsyncIterator[BankImport]:
    """The test's own way to the queue."""
    async with site.own() as own:
        yield own


@pytest.fixture
async def page(site: Operated, processes: Processes) -> AsyncIterator[Tab]:
    """The browser of an operator. Whatever it does, no script fails, nothing is refused by the policy, and no other
    host is asked."""
    async with tab(processes) as page:
        await page.send("Log.enable")
        await page.send("Network.enable")
        await page.goto(f"{site.origin}/login?role=operator")
        yield page
        assert page.errors == []
        assert [url for url in page.requests if not url.startswith((site.origin, "data:"))] == []


async def text(page: Tab, selector: str = "h1") -> str:
    """Return the text of an element."""
    found: str = await page.evaluate(f"document.querySelector({selector!r})?.innerText ?? ''")
    return found


async def press(page: Tab, selector: str) -> None:
    """Press a button or follow a link, and wait for the page it leads to."""
    loads = page.loads
    await page.click(f"document.querySelector({selector!r})")
    await wait_until(lambda: page.loads > loads, what=f"{selector} leads somewhere")


async def typed(page: Tab, selector: str, value: str) -> None:
    """Write into a field."""
    await page.evaluate(f"document.querySelector({selector!r}).value = {value!r}")


async def test_a_running_sync_is_live(site: Operated, page: Tab, own: BankImport) -> None:
    """The bar of a running job moves, and its heading says the end, without the page being loaded again."""
    await site.misbehave("live", kind="slow", seconds=0.25)
    job_id = await own.schedule_immediate_sync("live", force_full_sync=True)
    await page.goto(f"{site.pages}/jobs/{job_id}")
    loads = page.loads
    await page.wait_for("document.querySelector('[data-line]').textContent.startsWith('live')")
    await page.wait_for("document.querySelector('h1').innerText.startsWith('Completed')")
    assert page.loads == loads
    assert (await site.ended(own, job_id)).state is JobState.COMPLETED
    assert "imported" in await text(page, "main")


async def test_a_failure_is_understood_and_retried_in_bulk(site: Operated, page: Tab, own: BankImport) -> None:
    """From the failures by their error to the number, the reason and the retry, and the job then completes."""
    await site.misbehave("silent", kind="unavailable")
    job_id = await own.schedule_immediate_sync("silent")
    await site.ended(own, job_id)
    await page.goto(f"{site.pages}/jobs/{job_id}")
    assert "The bank did not answer" in await text(page)
    assert await page.evaluate("document.querySelectorAll('main figure svg[role=img] rect.f-bad').length") == 4
    await press(page, "nav a[data-key=f]")
    assert "is yours to mend" in await text(page)
    await press(page, "a.btn[href*='code=transient']")
    assert await text(page) == "Retry 1 job?"
    await site.behave("silent")
    await typed(page, "[name=reason]", "the bank is back")
    await press(page, "main form button")
    assert "1 job will run again." in await text(page, ".notice")
    assert (await site.ended(own, job_id)).state is JobState.COMPLETED


async def test_the_queue_is_paused_with_a_reason(site: Operated, page: Tab, own: BankImport) -> None:
    """Paused, with the reason on the first page, and resumed; a page that was open before sees it live."""
    await page.goto(site.pages)
    await page.wait_for("document.querySelector('[data-line]').textContent.startsWith('live')")
    await own.pause_queue(reason="told elsewhere")
    await page.wait_for("document.querySelector('h1').innerText.includes('paused')")
    await own.resume_queue()
    await page.goto(site.pages)
    await typed(page, "#reason", "the bank's <maintenance>")
    await press(page, "form[action$='/pause'] button")
    assert await text(page) == "The queue is paused: nothing starts"
    assert "the bank's <maintenance>" in await text(page, ".todo")
    await press(page, "form[action$='/resume'] button")
    assert (await own.get_queue_health()).is_paused is False


async def test_with_the_keyboard_alone(site: Operated, page: Tab, own: BankImport) -> None:
    """`/` finds an id, `g` and a letter goes to a page, `j`, `k` and `x` walk and tick the rows."""
    job_id = await own.schedule_immediate_sync("well")
    await site.ended(own, job_id)

    async def key(character: str) -> None:
        for kind in ("keyDown", "keyUp"):
            await page.send(
                "Input.dispatchKeyEvent", type=kind, key=character, text=character if kind == "keyDown" else ""
            )

    await page.goto(site.pages)
    await key("g")
    await key("j")
    await page.wait_for("location.pathname.endsWith('/jobs') && !!document.querySelector('tbody th a')")
    await page.wait_for("document.readyState === 'complete'")
    await key("j")
    await key("x")
    assert await page.evaluate("document.querySelector('tbody [name=job]').checked")
    await key("/")
    assert await page.evaluate("document.activeElement.type") == "search"
    await page.send("Input.insertText", text=job_id)
    for kind in ("keyDown", "keyUp"):
        await page.send(
            "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13
        )
    await page.wait_for(f"location.pathname.endsWith('/jobs/{job_id}')")


async def test_without_a_script(site: Operated, page: Tab, own: BankImport) -> None:
    """With scripts switched off, tables, filters and actions work."""
    await site.misbehave("refused", kind="service-blocked")
    job_id = await own.schedule_immediate_sync("refused")
    await site.ended(own, job_id)
    await page.send("Emulation.setScriptExecutionDisabled", value=True)
    await page.goto(f"{site.pages}/jobs?state=failed&connection=refused")
    assert await page.evaluate("document.querySelectorAll('tbody tr').length") == 1
    await page.evaluate(f"document.querySelector('[value=\"{job_id}\"]').checked = true")
    await press(page, "button[value=discard]")
    assert await text(page) == "Discard 1 job?"
    await typed(page, "[name=reason]", "a test's")
    await press(page, "main form button")
    assert "1 job was discarded." in await text(page, ".notice")
    assert await own.get_job_status(job_id) is None
    await site.behave("refused")


async def test_every_page_at_every_width(site: Operated, page: Tab, own: BankImport) -> None:
    """No page is wider than the window, from a small phone on, in both languages; each has one heading, a name for
    every field and a caption for every table, and no text is empty."""
    job_id = await own.schedule_immediate_sync("well")
    await site.ended(own, job_id)
    paths = ("", "/jobs", f"/jobs/{job_id}", "/failures", "/connections", "/connections/well", "/workers", "/webhooks", "/banks",
             "/bulk?action=discard&scope=all&state=completed", "/jobs/none")  # fmt: skip
    for path in paths:
        for language in ("en", "de"):
            await page.send("Network.setCookie", name="bankimport-language", value=language, url=site.origin)
            await page.goto(f"{site.pages}{path}")
            for width in WIDTHS:
                await page.send(
                    "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False
                )
                assert await page.evaluate("document.documentElement.scrollWidth") <= width, (path, language, width)
            assert await page.evaluate("document.querySelectorAll('h1').length") == 1
            assert await page.evaluate("document.documentElement.lang") == language
            unnamed = (
                "[...document.querySelectorAll('main input:not([type=hidden]), main select, [type=search]')]"
                ".filter(el => !el.labels.length && !el.ariaLabel).map(el => el.name).join()"
            )
            assert await page.evaluate(unnamed) == ""
            assert await page.evaluate("[...document.querySelectorAll('table')].every(el => el.caption)")
    page.errors[:] = [error for error in page.errors if "404" not in error]  # the page of a job that isn't there
