"""The operator's pages on a real queue: who is let in, forms without a script, hostile texts, and what is away."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientResponse, ClientSession, web
from redis.asyncio import Redis

from bankimport import BankImport, Settings
from bankimport.errors import BankRejected, ReauthRequired
from bankimport.models import BankAccount, BankConnection
from bankimport.status import ConnectionStatus, JobState
from bankimport.testing import FakeBank, MemoryStore, run_until_idle
from bankimport.web import Action
from bankimport.web.dashboard.routes import PAGES

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq calls it

HOSTILE = "<script>alert(1)</script>\"'><img/src=x>{0}{x}%s"
ACCOUNT = BankAccount(provider_id="a1", iban="DE02120300000000202051", name="Erika Mustermann", kind="CACC")
NAMES = ("giro", "sparen", "dritte")


async def by_role(request: web.Request, action: Action, org_id: str | None) -> bool:
    """Let operators operate, and members read and sync in their organisation."""
    role = request.cookies.get("role")
    if role is None:
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
    return role == "operator" or (action != "operate" and role == org_id)


@dataclass
class Pages:
    """A browser without a script, logged in as an operator."""

    session: ClientSession
    origin: str

    async def get(self, path: str = "", *, status: int = 200, role: str | None = "operator", **headers: str) -> str:
        """Return a page."""
        async with self.session.get(self.url(path), headers=self._headers(role, headers)) as answer:
            text = await answer.text()
            assert answer.status == status, text
            return text

    async def post(self, path: str, role: str | None = "operator", **fields: str) -> ClientResponse:
        """Send a form as a page of ours does; return the answer, which is not followed."""
        headers = self._headers(role, {"Origin": self.origin, "Sec-Fetch-Site": "same-origin"})
        async with self.session.post(self.url(path), headers=headers, data=fields, allow_redirects=False) as answer:
            await answer.read()
            return answer

    def url(self, path: str) -> str:
        """Return the address of a page."""
        return path if path.startswith("http") else f"{self.origin}/api/dashboard{path}"

    @staticmethod
    def _headers(role: str | None, headers: dict[str, str]) -> dict[str, str]:
        return {**headers, **({"Cookie": f"role={role}"} if role else {})}


@pytest.fixture
def store() -> MemoryStore:
    """A store with connections, one of them of a bank with a hostile name."""
    soon = datetime.now(UTC).date() + timedelta(days=90)
    connections = [BankConnection(id=name, org_id="acme", bank="bank", consent_valid_until=soon) for name in NAMES]
    evil = BankConnection(
        id="evil", org_id="globex", bank=HOSTILE, status=ConnectionStatus.ERROR, status_reason=HOSTILE
    )
    return MemoryStore(*connections, evil)


@pytest.fixture
def bank() -> FakeBank:
    """A bank that refuses until a test tells it otherwise."""
    bank = FakeBank()
    bank.accounts_answer = BankRejected(422)
    return bank


@pytest.fixture
async def bank_import(settings: Settings, store: MemoryStore, bank: FakeBank) -> AsyncIterator[BankImport]:
    """What the pages stand on."""
    made = settings.model_copy(update={"retry_delay_scale": 0.001, "rate_limit_max": 1000})
    async with BankImport(made, banks={"bank": bank}, store=store) as bank_import:
        yield bank_import


@asynccontextmanager
async def served(bank_import: BankImport) -> AsyncIterator[Pages]:
    """Serve the pages below /api of a host."""
    app = web.Application()
    app.add_subapp("/api", bank_import.web_app(authorize=by_role))
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession() as session:
        yield Pages(session, f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()


@pytest.fixture
async def pages(bank_import: BankImport) -> AsyncIterator[Pages]:
    """The pages."""
    async with served(bank_import) as pages:
        yield pages


async def failed(bank_import: BankImport, *names: str) -> list[str]:
    """Let a sync of each connection fail; return the jobs' ids."""
    ids = [await bank_import.schedule_immediate_sync(name) for name in names]
    await run_until_idle(bank_import)
    return ids


async def state_of(bank_import: BankImport, job_id: str) -> JobState | None:
    """Return the state of a job; None if it is gone."""
    job = await bank_import.get_job_status(job_id)
    return job.state if job is not None else None


def asked(answer: ClientResponse) -> dict[str, list[str]]:
    """Return the query of the address that a form leads to."""
    assert answer.status == 303, answer.status
    return parse_qs(urlsplit(answer.headers["Location"]).query)


@pytest.mark.parametrize(
    "page", [each for each in PAGES if each.action == "operate"], ids=lambda page: f"{page.method} {page.path}"
)
@pytest.mark.parametrize(("role", "status"), [(None, 401), ("acme", 403), ("globex", 403)])
async def test_only_operators_are_let_in(pages: Pages, page: object, role: str | None, status: int) -> None:
    """Each page and each form is refused on the server to members and to strangers, and does nothing."""
    method, path = page.method, page.path  # type: ignore[attr-defined]  # a route of the table, private to the pages
    path = re.sub(r"{action:(\w+).*?}", r"\1", path).replace("{id}", "giro").removeprefix("/dashboard")
    if method == "GET":
        await pages.get(path, role=role, status=status)
    else:
        assert (await pages.post(path, role=role, reason="mine", state="failed", scope="all")).status == status


async def test_a_foreign_page_presses_no_button(pages: Pages, bank_import: BankImport) -> None:
    """A form of another site is refused, whatever cookie the browser sends along."""
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        said = {**headers, "Cookie": "role=operator"}
        async with pages.session.post(pages.url("/pause"), headers=said, data={"reason": "x"}) as answer:
            assert answer.status == 403
    assert not (await bank_import.get_queue_health()).is_paused


async def test_headers_of_a_page(pages: Pages) -> None:
    """Nothing but our own style, script and icon may load, nobody may frame it, and nothing is kept by a cache."""
    async with pages.session.get(pages.url(""), headers={"Cookie": "role=operator"}) as answer:
        policy, text = answer.headers["Content-Security-Policy"], await answer.text()
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", policy)
    assert nonce is not None
    assert text.count(f'nonce="{nonce[1]}"') == 2
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.search(r"""\b(src|href|action)=["'](https?:)?//""", text)
    assert not re.search(r"\son\w+=|\sstyle=|javascript:", text)


async def test_pause_and_resume(pages: Pages, bank_import: BankImport) -> None:
    """The queue is paused with a reason until a local time, which everybody on the page sees, and resumed."""
    assert (await pages.post("/pause", reason="")).status == 422
    assert (await pages.post("/pause", reason="x" * 201)).status == 422
    assert (await pages.post("/pause", reason="x", until="soon")).status == 422
    assert (await pages.post("/pause", reason="x", until="2001-01-01T00:00")).status == 422
    assert asked(await pages.post("/pause", reason=f"Bank {HOSTILE}", until="2099-01-01T00:00")) == {"done": ["paused"]}
    assert (await bank_import.get_queue_health()).is_paused
    text = await pages.get("?done=paused")
    assert "Bank &lt;script&gt;" in text
    assert "Resume the queue" in text
    assert asked(await pages.post("/resume")) == {"done": ["resumed"]}
    assert not (await bank_import.get_queue_health()).is_paused


async def test_failed_jobs_are_retried_in_bulk(pages: Pages, bank_import: BankImport, bank: FakeBank) -> None:
    """By filter: first the number, then, with a reason, all that match run again and no other."""
    ids = await failed(bank_import, "giro", "sparen")
    bank.accounts_answer = ReauthRequired("expired")
    other = (await failed(bank_import, "dritte"))[0]
    overview = await pages.get("/failures")
    assert "1 failure is yours" not in overview
    assert "2 failures are yours to mend" in overview
    assert "The customer has to authorise the access again" in overview
    query = "action=retry&scope=all&state=failed&code=bank-rejected"
    assert "Retry 2 jobs?" in await pages.get(f"/bulk?{query}")
    fields = {"scope": "all", "state": "failed", "code": "bank-rejected"}
    assert (await pages.post("/bulk/retry", **fields)).status == 422  # no reason
    told = asked(await pages.post("/bulk/retry", **fields, reason="the bank is back"))
    assert told["number"] == ["2"]
    assert "2 jobs will run again." in await pages.get(f"/jobs?state=failed&done=retry&number={told['number'][0]}")
    bank.accounts_answer = ()
    await run_until_idle(bank_import)
    assert [await state_of(bank_import, job_id) for job_id in ids] == [JobState.COMPLETED] * 2
    assert await state_of(bank_import, other) is JobState.FAILED


async def test_failures_by_bank(pages: Pages, bank_import: BankImport, bank: FakeBank) -> None:
    """An error stands once for each bank, with its last hour beside the one before; one bank's are retried alone."""
    await failed(bank_import, "giro", "sparen")
    page = await pages.get("/failures")
    assert "2 failed in the last hour, 0 in the one before." in page
    assert "2 failures in 24 hours, 0 in the 24 before" in page
    link = "action=retry&amp;scope=all&amp;state=failed&amp;code=bank-rejected&amp;bank=bank"
    assert link in page
    assert "Retry 2 jobs?" in await pages.get("/bulk?" + link.replace("&amp;", "&"))
    elsewhere = {"scope": "all", "state": "failed", "code": "bank-rejected", "bank": "other"}
    assert asked(await pages.post("/bulk/retry", **elsewhere, reason="no"))["number"] == ["0"]
    there = {**elsewhere, "bank": "bank"}
    assert asked(await pages.post("/bulk/retry", **there, reason="it is back"))["number"] == ["2"]
    await pages.get("/jobs?bank=bank", status=422)
    assert "Bank: bank" in await pages.get("/jobs?state=failed&bank=bank")


async def test_ticked_jobs_alone(pages: Pages, bank_import: BankImport) -> None:
    """Ticked jobs, and no others, are discarded; those that have gone meanwhile are passed over."""
    first, second, third = await failed(bank_import, *NAMES)
    page = await pages.get(f"/bulk?action=discard&scope=ticked&job={first}&job={second}&job=gone")
    assert "Discard 3 jobs?" in page
    body = f"scope=ticked&reason=old&job={first}&job={second}&job=gone"
    headers = {"Cookie": "role=operator", "Content-Type": "application/x-www-form-urlencoded"}
    async with pages.session.post(
        pages.url("/bulk/discard"), headers=headers, data=body, allow_redirects=False
    ) as answer:
        assert asked(answer)["number"] == ["2"]
    left = await bank_import.list_jobs(None)
    assert [job.id for job in left.jobs] == [third]


@pytest.mark.parametrize(
    "query",
    [
        "action=retry&scope=all",
        "action=retry&scope=all&state=completed",
        "action=cancel&scope=all&state=failed",
        "action=discard&scope=all&state=active",
        "action=drop&scope=all&state=failed",
        "action=retry&scope=ticked",
        "action=retry&scope=ticked&job=%3Cb%3E",
        "action=retry&scope=all&state=nonsense",
    ],
)
async def test_what_makes_no_sense_in_bulk(pages: Pages, query: str) -> None:
    """Nothing is done to all jobs of a state that doesn't allow it, nor to jobs that aren't."""
    await pages.get(f"/bulk?{query}", status=422)
    fields = {name: values[0] for name, values in parse_qs(query).items()}
    path = f"/bulk/{fields.pop('action')}"
    assert (await pages.post(path, **fields, reason="x")).status in (404, 405, 422)


async def test_a_job_from_its_end_to_another_start(pages: Pages, bank_import: BankImport) -> None:
    """A failed job says what happened and what to do, with its course; it is retried, cancelled and discarded there."""
    job_id = (await failed(bank_import, "giro"))[0]
    page = await pages.get(f"/jobs/{job_id}")
    assert "The bank understood and said no" in page
    assert "the bank answered 422" in page
    assert "Failed for good" in page
    assert "Run 1" in page
    assert asked(await pages.post(f"/jobs/{job_id}/retry")) == {"done": ["retry"]}
    assert await state_of(bank_import, job_id) is JobState.WAITING
    assert (await pages.post(f"/jobs/{job_id}/cancel")).status == 422  # no reason
    assert asked(await pages.post(f"/jobs/{job_id}/cancel", reason="not now")) == {"done": ["cancel"]}
    assert await state_of(bank_import, job_id) is JobState.CANCELLED
    assert (await pages.post(f"/jobs/{job_id}/cancel", reason="again")).status == 409
    assert asked(await pages.post(f"/jobs/{job_id}/discard", reason="done"))["done"] == ["discard"]
    assert await state_of(bank_import, job_id) is None
    await pages.get(f"/jobs/{job_id}", status=404)


async def test_hostile_texts_are_text(
    pages: Pages, bank_import: BankImport, store: MemoryStore, redis_client: "Redis[str]"
) -> None:
    """Whatever a bank, a host or a record says shows as text on each page, in each language."""
    await bank_import.schedule_immediate_sync("giro", triggered_by="<img/src=x>{0}")
    job_id = (await failed(bank_import, "sparen"))[0]
    key = f"{bank_import.queue.keys.job(job_id)}"
    await redis_client.hset(key, mapping={"error": HOSTILE, "code": "evil<b>{x}"})
    for path in (
        "",
        "/jobs",
        f"/jobs/{job_id}",
        "/failures",
        "/connections",
        "/connections/evil",
        "/workers",
        "/banks",
    ):
        for language in ("en", "de"):
            text = await pages.get(path, **{"Accept-Language": language})
            assert "<script>alert" not in text, path
            assert "<img" not in text, path
            assert "evil<b>" not in text, path
    assert "&lt;script&gt;" in await pages.get(f"/jobs/{job_id}")
    assert "&lt;script&gt;" in await pages.get("/connections")
    await pages.get(f"/jobs?code={HOSTILE.replace('%', '%25')}", status=422)
    await pages.get("/find?q=%3Cb%3Ex", status=404)


async def test_a_connection(pages: Pages, bank_import: BankImport, bank: FakeBank) -> None:
    """A connection shows its consent, its accounts by kind and last digits, and its reads; a sync is asked for there.

    The name of an account is its holder's, and its number is money's: neither is an operator's.
    """
    bank.accounts_answer = (ACCOUNT,)
    await bank_import.schedule_immediate_sync("giro")
    await run_until_idle(bank_import)
    page = await pages.get("/connections/giro")
    for text in ("Up to date", "days left", "Current account", "•••• 2051", "of 4", "one frees up", "No gap since"):
        assert text in page, text
    for secret in ("Mustermann", "DE02"):
        assert secret not in page
    answer = await pages.post("/connections/giro/sync")
    assert answer.status == 303
    job = (await bank_import.list_jobs(None, state=JobState.WAITING)).jobs[0]
    assert answer.headers["Location"].startswith(f"/api/dashboard/jobs/{job.id}?")
    assert job.data["triggeredBy"] == "operator"
    assert (await pages.post("/connections/none/sync")).status == 404


async def test_connections_that_were_not_read_yet(settings: Settings) -> None:
    """They are not called up to date. Red before: a new user's two were."""
    store = MemoryStore(BankConnection(id="giro", org_id="acme", bank="b"))
    async with BankImport(settings, banks={}, store=store) as bank_import, served(bank_import) as pages:
        assert "1 of 1 connections was not read yet" in await pages.get("/connections")


async def test_connections_by_their_health(pages: Pages) -> None:
    """The connections of all organisations are counted by health, and a filter in the address shows some."""
    page = await pages.get("/connections")
    assert "1 of 4 connections is not up to date" in page
    assert ">globex</a>" in await pages.get("/connections?health=error")
    assert ">acme</a>" not in await pages.get("/connections?health=error")
    assert ">globex</a>" not in await pages.get("/connections?org=acme")
    await pages.get("/connections?health=bad", status=422)
    await pages.get("/connections?cursor=nonsense", status=422)


async def test_finding_by_an_id(pages: Pages, bank_import: BankImport) -> None:
    """The id of a job, a connection or an organisation leads to its page."""
    job_id = (await failed(bank_import, "giro"))[0]
    headers = {"Cookie": "role=operator"}
    for name, place in ((job_id, f"/jobs/{job_id}"), ("sparen", "/connections/sparen"), ("acme", "/jobs?org=acme"),
                        ("globex", "/connections?org=globex"), ("", "/jobs")):  # fmt: skip
        async with pages.session.get(pages.url(f"/find?q={name}"), headers=headers, allow_redirects=False) as answer:
            assert answer.headers["Location"] == f"/api/dashboard{place}"


async def test_filters_are_in_the_address(pages: Pages, bank_import: BankImport) -> None:
    """A view is shared by its address, over its pages; what is no filter of ours is refused with its name."""
    await failed(bank_import, "giro")
    page = await pages.get("/jobs?org=acme&state=failed&code=bank-rejected&type=sync-connection")
    assert "Error code: bank-rejected" in page
    assert "giro" in page
    assert "No job matches" in await pages.get("/jobs?org=globex")
    assert "is not a cursor" in await pages.get("/jobs?cursor=nonsense", status=422)
    await pages.get("/jobs?state=dead", status=422)
    await pages.get("/jobs?type=dead", status=422)


async def test_language_and_colours_are_remembered(pages: Pages) -> None:
    """A reader's choice is kept in a cookie for the pages alone, and the address is as it was."""
    assert 'lang="de"' in await pages.get(**{"Accept-Language": "de-DE, en;q=0.5"})
    headers = {"Cookie": "role=operator"}
    for name, value, cookie in (("lang", "de", "bankimport-language"), ("theme", "dark", "bankimport-theme")):
        url = pages.url(f"/jobs?state=failed&{name}={value}")
        async with pages.session.get(url, headers=headers, allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/api/dashboard/jobs?state=failed"
            assert answer.cookies[cookie].value == value
            assert answer.cookies[cookie]["path"] == "/api/dashboard"
    dark = {"Cookie": "role=operator; bankimport-theme=dark; bankimport-language=de"}
    async with pages.session.get(pages.url(""), headers=dark) as answer:
        assert '<html lang="de" data-theme="dark">' in await answer.text()


async def test_files_are_everybodys(pages: Pages) -> None:
    """Style, script and icon hold nothing secret and are kept by browsers until they change; nothing else is there."""
    page = await pages.get()
    for path in re.findall(r'"(/api/dashboard/files/[^"]+)"', page):
        async with pages.session.get(f"{pages.origin}{path}") as answer:
            assert answer.status == 200
            assert "immutable" in answer.headers["Cache-Control"]
    for name in ("..%2Froutes.py", "style.css.map"):
        async with pages.session.get(f"{pages.origin}/api/dashboard/files/{name}") as answer:
            assert answer.status == 404


@pytest.mark.in_time
async def test_redis_is_away(settings: Settings, store: MemoryStore, bank_import: BankImport) -> None:
    """While Redis is away the first page says so and what to do, and the others answer 503 as a page."""
    lost = settings.model_copy(update={"redis_host": "127.0.0.1", "redis_port": 1})
    away = BankImport(lost, banks={}, store=store)
    away.bounds.state = "open"
    async with served(away) as pages:
        page = await pages.get()
        assert "Redis does not answer" in page
        assert "Start Redis" in page
        assert "can’t be asked for now" in await pages.get("/jobs", status=503)
        assert (await pages.post("/pause", reason="x")).status == 503
    await away.aclose()


async def test_ten_thousand_connections(settings: Settings) -> None:
    """A page of 10,000 connections counts them by health and is a page of 50."""
    many = (
        BankConnection(id=f"c{n}", org_id=f"o{n % 500}", bank="bank", consent_valid_until=date(2099, 1, 1))
        for n in range(10_000)
    )
    async with BankImport(settings, banks={"bank": FakeBank()}, store=MemoryStore(*many)) as big, served(big) as pages:
        text = await pages.get("/connections")
        assert text.count("/dashboard/connections/c") == 50
        following = re.search(r'href="[^"]*/dashboard(/connections\?cursor=[^"]+)"', text)
        assert following is not None
        again = await pages.get(following[1])
        assert "/dashboard/connections/c" in again
        first = set(re.findall(r"/connections/(c\d+)", text))
        assert not first & set(re.findall(r"/connections/(c\d+)", again))
