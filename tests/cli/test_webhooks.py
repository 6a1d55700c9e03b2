"""`bankimport webhooks …`: endpoints are added, seen, changed; what was given up is counted first and sent again."""

import asyncio
import json
from pathlib import Path

from cryptography.fernet import Fernet

from bankimport.models import AttemptEnded, DeliveryState
from bankimport.stores import SqlStore
from tests.cli.conftest import Run
from tests.stores.databases import new_account


def test_an_endpoint_from_its_beginning_to_its_end(operate: Run, tmp_path: Path) -> None:
    """The secret is printed once; lists and errors have codes; what is removed is said first."""
    operate("db", "upgrade")
    added = json.loads(operate("webhooks", "add", "http://127.0.0.1:1/x?t=canary", "-o", "jsonl").stdout)
    listed = operate("webhooks", "list")
    assert added["secret"].startswith("whsec_")
    assert added["id"] in listed.stdout
    assert added["secret"] not in listed.stdout
    assert "canary" not in listed.stdout
    rotated = operate("webhooks", "rotate", added["id"], "--reason", "it was in a mail").stdout.strip()
    assert rotated.startswith("whsec_")
    assert rotated != added["secret"]
    assert operate("webhooks", "disable", added["id"]).returncode == 0
    assert operate("webhooks", "disable", added["id"]).returncode == 1
    assert "hand" in operate("webhooks", "list").stdout
    assert operate("webhooks", "enable", added["id"]).returncode == 0
    assert operate("webhooks", "rotate", "nobody").returncode == 3
    assert operate("webhooks", "add", "http://hooks.example/").returncode == 2
    assert operate("webhooks", "remove", added["id"]).returncode == 2  # no terminal to ask on
    assert "0 messages wait" in operate("webhooks", "remove", added["id"], "--dry-run").stderr
    assert added["id"] in operate("webhooks", "list").stdout
    assert operate("webhooks", "remove", added["id"], "--yes").returncode == 0
    assert operate("webhooks", "list", "-o", "json").stdout == "[]\n"
    audit = operate("audit", "--action", "webhooks", "-o", "jsonl").stdout.splitlines()
    assert {json.loads(each)["via"] for each in audit} == {"cli"}
    assert "it was in a mail" in {json.loads(each)["reason"] for each in audit}


def test_what_was_given_up_is_sent_again(operate: Run, tmp_path: Path) -> None:
    """Counted first, and then asked for; what waits isn't counted."""
    operate("db", "upgrade")
    operate("webhooks", "add", "http://127.0.0.1:1/x")

    async def given_up() -> None:
        from datetime import UTC, datetime, timedelta

        store = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/bank.db", environment="development")
        connection = (await new_account(store), await store.all_connections())[1][0]
        for _ in range(3):
            await store.note_sync(connection.id, datetime.now(UTC))
        for _ in range(2):
            now = datetime.now(UTC) + timedelta(seconds=1)
            [taken] = await store.take_webhooks(now, now, limit=9, busy={})
            assert await store.settle_webhook(taken, AttemptEnded(DeliveryState.FAILED, 400, "refused"), now)
        await store.aclose()

    asyncio.run(given_up())
    listed = operate("webhooks", "deliveries", "--state", "failed", "-o", "jsonl").stdout.splitlines()
    assert [(json.loads(each)["status"], json.loads(each)["error"]) for each in listed] == [(400, "refused")] * 2
    assert operate("webhooks", "replay", "--org", "acme", "--dry-run").stdout == "2\n"
    assert operate("webhooks", "replay", "--yes").returncode == 2  # all of everybody's is never meant
    assert operate("webhooks", "replay", "--org", "globex", "--yes").stdout == "0\n"
    assert operate("webhooks", "replay", "--org", "acme", "--yes", "--reason", "mended").stdout == "2\n"
    assert len(operate("webhooks", "deliveries", "--state", "waiting", "-o", "jsonl").stdout.splitlines()) == 3
    [replayed] = operate("audit", "--action", "webhooks.replay", "--org", "acme", "-o", "jsonl").stdout.splitlines()
    assert json.loads(replayed)["facts"] == {"webhooks": 2}


def test_secrets_are_encrypted_anew(operate: Run, tmp_path: Path) -> None:
    """With the credentials: afterwards the old key is no longer needed."""
    operate("db", "upgrade")
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    added = json.loads(
        operate("webhooks", "add", "http://127.0.0.1:1/", "-o", "jsonl", BANK_SYNC_CREDENTIALS_KEY=old).stdout
    )
    lost = operate("webhooks", "list", BANK_SYNC_CREDENTIALS_KEY=new)
    assert f"bankimport webhooks rotate {added['id']}" in lost.stderr
    lost = operate("keys", "rotate", BANK_SYNC_CREDENTIALS_KEY=new)
    assert (lost.returncode, added["id"] in lost.stderr) == (1, True)
    assert operate("webhooks", "list", BANK_SYNC_CREDENTIALS_KEY=f"{new},{old}").stderr == ""
    assert operate("keys", "rotate", BANK_SYNC_CREDENTIALS_KEY=f"{new},{old}").returncode == 0

    async def read() -> str:
        store = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/bank.db", credentials_key=new)
        found = await store.webhook_secrets(added["id"])
        await store.aclose()
        assert found is not None
        return found.current

    assert asyncio.run(read()) == added["secret"]
