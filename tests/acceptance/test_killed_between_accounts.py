"""SIGKILL between two accounts of one sync: what it had finished is neither read nor counted again, by the bank's own log."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.acceptance.bank import read_bank
from tests.acceptance.conftest import Deploy
from tests.acceptance.deployment import Deployment, Organisation
from tests.waiting import wait_until

#: long enough for a worker on a crowded machine not to lose it
LEASE = timedelta(seconds=5)
CONSENT = "consent-giro"


@pytest.fixture
def deployment(deploy: Deploy) -> Deployment:
    """A bank that allows four reads a day, a host, and a connection of three accounts; no worker yet."""
    deployment = deploy(
        worker=False, unattended_limit=4, BANK_SYNC_LEASE_MS=str(int(LEASE / timedelta(milliseconds=1)))
    )
    deployment.insert_connection("giro", consent=CONSENT)
    return deployment


async def noted(member: Organisation) -> list[dict[str, Any]]:
    """Return the bank's own log of the consent's requests."""
    url = f"{member.deployment.bank_url}/sandbox/consents/{CONSENT}/requests"
    async with member.session.get(url) as answer:
        assert answer.status == 200
        requests: list[dict[str, Any]] = (await answer.json())["requests"]
        return requests


def resource(request: dict[str, Any]) -> str:
    """Return which account a request is about."""
    return str(request["path"]).split("/")[3]


async def test_a_killed_worker_reads_no_finished_account_again(deployment: Deployment, member: Organisation) -> None:
    """A worker is killed while the bank takes its time over the third account; the next one reads that account alone, the
    ledger has counted what the bank has seen, and the result is that of both runs."""
    await member.misbehave(CONSENT, kind="slow", seconds=60, times=1, endpoint="transactions", account=2, page=1)
    victim = deployment.start_worker()
    job_id = await member.sync("giro")

    async def at_the_third() -> bool | None:
        asked = [resource(each) for each in await noted(member) if each["endpoint"] == "transactions"]
        return len(set(asked)) == 3 or None

    await wait_until(at_the_third, what="the request for the third account")
    victim.kill()
    deployment.start_worker()
    job = await member.ended(job_id)
    log = await noted(member)
    details = await member.get("/giro")
    served = await read_bank(deployment.bank_url, CONSENT, job["result"]["window"]["since"])
    first, second, third = [account["resourceId"] for account in served.accounts]

    pages = Counter((resource(each), each["path"]) for each in log if each["endpoint"] == "transactions")
    assert sorted(pages.values()) == [1] * (len(pages) - 1) + [2], "one page was asked for twice"
    ((again, _),) = [page for page, times in pages.items() if times == 2]
    assert again == third
    assert sum(account == first for account, _ in pages) > 1, "the first account has several pages"
    assert Counter(resource(each) for each in log if each["endpoint"] == "balances") == {first: 1, second: 1, third: 1}
    assert [each["endpoint"] for each in log].count("accounts") == 1

    begun = Counter(resource(each) for each in log if each["endpoint"] == "transactions" and each["page"] == 1)
    iban_ends = [account["iban"][-4:] for account in served.accounts]
    used = {account["ibanEnd"]: account["readsToday"]["used"] for account in details["accounts"]}
    assert used == dict(zip(iban_ends, (begun[first], begun[second], begun[third]), strict=True))
    assert begun == {first: 1, second: 1, third: 2}

    result = job["result"]
    assert (job["state"], job["attemptsMade"], result["success"], result["partial"]) == ("completed", 0, True, False)
    assert (result["accountsSynced"], result["newAccounts"]) == (3, 3)
    assert result["newTransactions"] == len(served.rows)
    assert sum(account["newTransactions"] for account in result["accounts"]) == len(served.rows)
    assert sorted(deployment.transactions("giro"), key=str) == served.rows
    assert [event["name"] for event in await member.events(job_id)].count("bank.job.stalled") == 1
