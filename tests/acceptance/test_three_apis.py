"""One worker, three bank APIs by environment alone, and the same person behind each: the same rows in the database."""

from pathlib import Path

import pytest

from tests.acceptance.bank import read_bank
from tests.acceptance.conftest import Deploy
from tests.acceptance.deployment import Deployment, Organisation
from tests.contracts.sandboxed import KEY

CONSENT = "consent-family"
BANKS = {"bg": "sandbox", "eb": "eb", "gc": "gc"}


@pytest.fixture(scope="module")
def deployment(deploy: Deploy, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A host and a stock worker with three banks, and a connection to each."""
    key: Path = tmp_path_factory.mktemp("key") / "eb.pem"
    key.write_text(KEY)
    more = {
        "eb": {"type": "enable-banking", "application_id": "app-1", "private_key_file": str(key)},
        "gc": {"type": "gocardless", "secret_id": "id", "secret_key": "key"},
    }
    deployment = deploy(more_banks=more)
    for connection, bank in BANKS.items():
        deployment.insert_connection(connection, bank=bank, consent=CONSENT)
    return deployment


async def test_three_apis_bring_the_same_rows(deployment: Deployment, member: Organisation) -> None:
    """Every row of the three connections is what the bank served, and balances add up at each."""
    jobs = [await member.synced(connection) for connection in BANKS]
    assert [job["state"] for job in jobs] == ["completed"] * 3
    assert [job["result"]["balanceCheck"] for job in jobs] == ["ok"] * 3
    served = await read_bank(deployment.bank_url, CONSENT, jobs[0]["result"]["window"]["since"])
    for connection in BANKS:
        assert sorted(deployment.transactions(connection), key=str) == served.rows
