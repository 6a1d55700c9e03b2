"""What people did is written down: by whom, on what, why; and read on a page, over HTTP and in Python."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, web

from bankimport import BankImport, acting_as
from bankimport.errors import StoreUnavailable
from bankimport.models import AuditEntry, AuditFilter
from bankimport.testing import FakeBank, MemoryStore, run_until_idle
from tests.web.test_dashboard import HOSTILE, Pages, by_role, failed

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq calls it
JSON = {"Content-Type": "application/json"}


async def by_name(request: web.Request) -> str | None:
    """Say who is signed in."""
    return request.cookies.get("name")


@asynccontextmanager
async def served(bank_import: BankImport) -> AsyncIterator[Pages]:
    """Serve a host that says who is signed in."""
    app = web.Application()
    app.add_subapp("/api", bank_import.web_app(authorize=by_role, user=by_name))
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession() as session:
        yield Pages(session, f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()


async def entries(bank_import: BankImport, **wanted: Any) -> list[tuple[Any, ...]]:
    """Return what was done, the oldest first."""
    page = await bank_import.audit.list(AuditFilter(**wanted))
    return [(each.who, each.via, each.action, each.subject, each.reason) for each in page.entries][::-1]


async def test_what_operators_do_on_the_pages(bank_import: BankImport, bank: FakeBank) -> None:
    """Pause, resume, retry of one and of all, cancel, discard, a sync: each is an entry with its who and why, and what
    was refused is none."""
    first, second = await failed(bank_import, "giro", "sparen")
    async with served(bank_import) as pages:

        async def post(path: str, **fields: str) -> int:
            return (await pages.post(path, role="operator; name=mira", **fields)).status

        assert await post("/pause", reason="") == 422
        assert await post("/pause", reason="database update") == 303
        assert await post("/resume") == 303
        assert await post(f"/jobs/{first}/retry") == 303
        assert await post(f"/jobs/{first}/cancel", reason="not now") == 303
        assert await post(f"/jobs/{first}/cancel", reason="not now") == 409
        assert await post("/bulk/retry", scope="all", state="failed", reason="bank is back") == 303
        assert await post("/bulk/discard", scope="ticked", job=first, reason="old") == 303
        assert await post("/connections/giro/sync") == 303
    mira = ("mira", "page")
    assert await entries(bank_import) == [
        (*mira, "queue.pause", None, "database update"),
        (*mira, "queue.resume", None, None),
        (*mira, "jobs.retry", f"job:{first}", None),
        (*mira, "jobs.cancel", f"job:{first}", "not now"),
        (*mira, "jobs.retry", None, "bank is back"),
        (*mira, "jobs.discard", f"job:{first}", "old"),
        (*mira, "connection.sync", "connection:giro", None),
    ]
    assert second
    assert {each.org_id for each in (await bank_import.audit.list(AuditFilter(subject=f"job:{first}"))).entries} == {
        "acme"
    }


async def test_what_is_done_over_http_and_in_python(bank_import: BankImport) -> None:
    """A route's sender is named by the host, a reason comes from the body; the host's own code says who acts."""
    job_id = (await failed(bank_import, "giro"))[0]
    async with served(bank_import) as pages:
        headers = {**JSON, "Cookie": "role=operator; name=ben"}
        url = f"{pages.origin}/api"
        body = {"state": "failed", "reason": "the bank said so"}
        async with pages.session.post(f"{url}/jobs/retry", json=body, headers=headers) as answer:
            assert answer.status == 200
        async with pages.session.post(f"{url}/jobs/retry", json={**body, "dryRun": True}, headers=headers) as answer:
            assert answer.status == 200
        with acting_as("nightly", reason="window closed"):
            await bank_import.cancel_job(job_id)
        async with pages.session.get(f"{url}/audit?action=jobs&who=ben", headers=headers) as answer:
            [entry] = (await answer.json())["entries"]
        for query, status in (("limit=0", 422), ("cursor=%20", 422), ("orgId=%3Cb", 422), ("nonsense=1", 422)):
            async with pages.session.get(f"{url}/audit?{query}", headers=headers) as answer:
                assert answer.status == status, query
        async with pages.session.get(f"{url}/audit", headers={"Cookie": "role=acme"}) as answer:
            assert answer.status == 403
    assert (entry["action"], entry["via"], entry["reason"]) == ("jobs.retry", "http", "the bank said so")
    assert entry["facts"] == {"state": "failed", "jobs": 1}
    [_, told] = await entries(bank_import)
    assert told == ("nightly", "python", "jobs.cancel", f"job:{job_id}", "window closed")


async def test_the_page(pages: Pages, bank_import: BankImport) -> None:
    """The newest first, by who and kind in the address, page after page; hostile texts are text, in both languages."""
    with acting_as(HOSTILE, reason=HOSTILE):
        await bank_import.pause_queue()
    await bank_import.resume_queue()
    for language in ("en", "de"):
        text = await pages.get("/audit", **{"Accept-Language": language})
        assert "<script>alert" not in text
        assert text.count("&lt;script&gt;") == 2
    assert "Warteschlange fortgesetzt" in text
    assert "2 actions of people" in await pages.get("/audit")
    assert "No action matches." in await pages.get("/audit?action=connection")
    assert "1 action of people" in await pages.get(
        "/audit?who=%3Cscript%3Ealert(1)%3C/script%3E%22%27%3E%3Cimg/src=x%3E{0}{x}%25s"
    )
    for _ in range(50):
        await bank_import.audit.note("queue.resume")
    first = await pages.get("/audit")
    assert "50 actions on this page" in first
    cursor = first.rpartition("cursor=")[2].partition('"')[0]
    assert "2 actions of people" in await pages.get(f"/audit?cursor={cursor}")


@pytest.mark.in_time
async def test_a_store_that_is_away_stops_no_operator(
    bank_import: BankImport, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The queue is paused all the same, at once, and the log says what was not written."""

    async def refuse(entry: AuditEntry) -> None:
        raise StoreUnavailable

    async def hang(entry: AuditEntry) -> None:
        await asyncio.sleep(60)

    for fault in (refuse, hang):
        monkeypatch.setattr(store, "add_audit_entry", fault)
        await bank_import.pause_queue(reason="fire")
        assert (await bank_import.get_queue_health()).is_paused
        assert "audit.not_written" in capsys.readouterr().out
        await bank_import.resume_queue()
    assert await entries(bank_import) == []


async def test_a_host_that_can_not_say_who(pages: Pages, bank_import: BankImport) -> None:
    """Without the host's word nobody is named, and a host that fails to say it stops no operator."""
    await pages.post("/pause", reason="x")

    async def broken(request: web.Request) -> str | None:
        raise RuntimeError

    app = web.Application()
    app.add_subapp("/api", bank_import.web_app(authorize=by_role, user=broken))
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    other = Pages(pages.session, f"http://127.0.0.1:{runner.addresses[0][1]}")
    assert (await other.post("/resume")).status == 303
    await runner.cleanup()
    assert [who for who, *_ in await entries(bank_import)] == [None, None]
    assert "not told" in await pages.get("/audit")
    await run_until_idle(bank_import)
