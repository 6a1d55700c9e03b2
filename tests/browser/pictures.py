"""`python -m tests.browser.pictures`: takes the pictures of docs/images, of pages over a bank, a worker and a host that
really ran; axe-core looks at each. What is older than the run, such as yesterday's requests, is written behind its back.
"""

import asyncio
import random
import time
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

from bankimport import BankImport
from bankimport.watch.bank_figures import step_of
from tests.acceptance.deployment import Deployment
from tests.browser.chromium import Tab, tab
from tests.browser.operated import Operated
from tests.processes import ROOT, Processes, start_valkey
from tests.waiting import wait_until

IMAGES = ROOT / "docs" / "images"
NORTH, ALPS, FERN, PORT = "nordlicht-bank", "alpenkreditbank", "fernhill-bs", "sparhafen"
#: connection, organisation, bank, and what is wrong there
CONNECTIONS = (
    *((f"north-{n}", org, NORTH, "unavailable") for n, org in enumerate(("acme", "globex", "initech", "umbrella"))),
    *(
        (f"alps-{n}", org, ALPS, "consent-expired" if n == 1 else "")
        for n, org in enumerate(("acme", "hooli", "globex"))
    ),
    *((f"fern-{n}", org, FERN, "no-json" if n == 2 else "") for n, org in enumerate(("hooli", "vehement", "stark"))),
    *((f"port-{n}", org, PORT, "") for n, org in enumerate(("acme", "wayne", "wonka", "stark", "tyrell"))),
)
_ANSWERS = {NORTH: 0.6, ALPS: 0.4, FERN: 2.1, PORT: 0.3}
_WIDE, _PHONE = 1280, 375


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its file, the page, how wide, light or dark, in which language, and whose."""

    name: str
    path: str
    width: int = _WIDE
    scheme: str = "light"
    language: str = "en"
    role: str = "operator"


PICTURES = (
    Picture("pages-now", "/dashboard"),
    Picture("pages-banks", "/dashboard/banks"),
    Picture("pages-banks-phone-de-dark", "/dashboard/banks", _PHONE, "dark", "de"),
    Picture("pages-failures-dark", "/dashboard/failures", scheme="dark"),
    Picture("pages-job-dark", "/dashboard/jobs/{job}", scheme="dark"),
    Picture("pages-connection-phone-de", "/dashboard/connections/port-0", _PHONE, "light", "de"),
    Picture(
        "pages-organisation-de", "/organisations/acme/bank-connections/page?balances=port-0", language="de", role="acme"
    ),
    Picture(
        "pages-organisation-phone", "/organisations/acme/bank-connections/page?balances=port-0", _PHONE, role="acme"
    ),
)


async def ran(site: Operated, own: BankImport) -> str:
    """Let every connection be synced once; return a job that failed."""
    for name, _, _, wrong in CONNECTIONS:
        if wrong:
            await site.misbehave(name, kind=wrong)
    jobs = [await own.schedule_immediate_sync(name) for name, *_ in CONNECTIONS]
    ended = [await site.ended(own, job_id) for job_id in jobs]
    for each in ended:
        print(each.data["connectionId"], each.state, each.error_code or "")
    return jobs[0]


async def written(own: BankImport, site: Operated) -> None:
    """Write what would be older than this run: a day of requests, failures of some hours ago, balances of months."""
    client, keys, seed = own.queue.client, own.queue.keys, random.Random(4)  # not a secret
    hour = int(time.time() // 3600)
    for bank, typical in _ANSWERS.items():
        for back in range(1, 24):
            many = {0: 40, 1: 260, 2: 240, 3: 130}[(hour - back) % 4] + seed.randrange(30)
            failed = many if bank == NORTH and back < 3 else seed.randrange(3)
            fields = {f"t:{step_of(typical * seed.uniform(0.5, 2.5))}": (many - failed) // 9 for _ in range(9)}
            await client.hset(
                keys.of("bank_hour", bank, str(hour - back)),
                mapping={**fields, "r:answered": many - failed, "r:no-answer": failed, "q": seed.randrange(4)},
            )
            await client.expire(keys.of("bank_hour", bank, str(hour - back)), 86_400)
    await client.hset(keys.of("bank", NORTH), "failing", int((time.time() - 9900) * 1000))
    kind = keys.of("failed_kind", "transient", NORTH)
    for number, job_id in enumerate(await client.zrange(kind, 0, 1)):
        await client.zadd(kind, {job_id: (time.time() - (1.4 + 0.8 * number) * 3600) * 1000})
    [(account, kind_of_balance, currency)] = site.deployment.query(
        "SELECT b.account_id, b.balance_type, b.currency FROM bank_balances b JOIN bank_accounts a ON a.id = b.account_id"
        " WHERE a.connection_id = 'port-0' ORDER BY a.iban, b.balance_type LIMIT 1"
    )
    amount = 2400.0
    for back in range(1, 80):
        amount += 2100 if back % 30 == 3 else -seed.uniform(0, 160)
        site.deployment.write(
            "INSERT OR REPLACE INTO bank_balance_history (account_id, balance_type, day, amount, currency, fetched_at)"
            " VALUES (?, ?, date('now', ?), ?, ?, datetime('now', ?))",
            account, kind_of_balance, f"-{back} days", f"{amount:.2f}", currency, f"-{back} days",
        )  # fmt: skip


async def taken(page: Tab, site: Operated, picture: Picture, job: str) -> list[str]:
    """Take a picture; return what axe-core has to say."""
    await page.goto(f"{site.origin}/login?role={picture.role}&to=/login?role={picture.role}")
    await page.send("Network.setCookie", name="bankimport-language", value=picture.language, url=site.origin)
    await page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": picture.scheme}])
    size = {"width": picture.width, "deviceScaleFactor": 1, "mobile": False}
    await page.send("Emulation.setDeviceMetricsOverride", height=900, **size)
    await page.goto(f"{site.origin}/banking{picture.path.format(job=job)}")
    await page.evaluate("document.querySelectorAll('[data-line]').length")
    axe = resources.files("axe_core_python").joinpath("axe.min.js").read_text()
    await page.evaluate(f"{axe}; void 0")
    said = await page.evaluate(
        "axe.run().then(said => said.violations.map(each => each.id + ': ' + each.nodes[0].html.slice(0, 200)))"
    )
    tall = await page.evaluate("document.documentElement.scrollHeight")
    await page.send("Emulation.setDeviceMetricsOverride", height=min(tall, 4000), **size)
    (IMAGES / f"{picture.name}.png").write_bytes(await page.screenshot())
    return [f"{picture.name}: {each}" for each in said]


async def all_told(own: BankImport) -> bool:
    """Whether the worker has told what it asked of banks."""
    return any(bank.requests for bank in await own.get_banks())


async def main() -> None:
    """Take all of them."""
    with TemporaryDirectory(prefix="pictures-") as directory:
        processes = Processes(Path(directory))
        try:
            more = {name: {"type": "berlin-group", "unattended_limit": 4} for name in _ANSWERS}
            valkey = await asyncio.to_thread(start_valkey, processes)
            deployment = Deployment(processes, valkey.url(), {"BANK_SYNC_RETRY_DELAY_SCALE": "0.02"}, more_banks=more)
            await asyncio.to_thread(started, deployment)
            site = Operated(deployment)
            await asyncio.to_thread(site.start_host)
            async with site.own() as own:
                job = await ran(site, own)
                await wait_until(partial(all_told, own))
                await written(own, site)
            async with tab(processes) as page:
                await page.send("Network.enable")
                found = [said for each in PICTURES for said in await taken(page, site, each, job)]
            print("\n".join(found) or "axe-core finds nothing")
        finally:
            processes.end()


def started(deployment: Deployment) -> None:
    """Start the bank and a worker, and add the connections."""
    deployment.start_bank()
    deployment.bankimport("db", "upgrade")
    deployment.start_worker().line_sync("worker.started")
    for name, org, bank, _ in CONNECTIONS:
        deployment.insert_connection(name, org, bank=bank)


if __name__ == "__main__":
    asyncio.run(main())
