"""The receiver of the how-to: a program of its own that verifies what we send, and does each message once."""

from pathlib import Path

from bankimport.models import DeliveryFilter
from tests.processes import ROOT, Processes, free_port
from tests.webhooks.conftest import NONE, Scene
from tests.webhooks.receiver import Receiver


async def test_the_receiver_of_the_docs(scene: Scene, tmp_path: Path) -> None:
    """examples/webhook_receiver.py prints what is new, once, also when it is sent again; a foreign secret is refused."""
    port = free_port()
    place = Receiver(url=f"http://127.0.0.1:{port}/hooks")
    await scene.endpoint(place)
    processes = Processes(tmp_path)
    program = str(ROOT / "examples" / "webhook_receiver.py")
    said = {"WEBHOOK_SECRET": place.secrets[0], "RECEIVER_PORT": str(port), "RECEIVER_DATABASE": str(tmp_path / "r.db")}
    receiver = processes.python("receiver", program, environment=said)
    try:
        await receiver.line("Running on")
        account = await scene.account("giro")
        await scene.imported(account)
        await scene.later(NONE)
        await receiver.line(f"1 new rows of giro, account {account.id}")
        await scene.store.replay_webhooks(DeliveryFilter(connection_id="giro"), scene.now)
        await scene.later(NONE)
        [(_, delivery)] = await scene.store.webhook_deliveries(DeliveryFilter(), before=None, limit=5)
        assert (delivery.state.value, delivery.status) == ("delivered", 204)
        assert receiver.output().count("new rows") == 1
        place.url = f"{place.url}?second"
        await scene.endpoint(place)
        await scene.imported(account)
        await scene.later(NONE)
        found = await scene.store.webhook_deliveries(DeliveryFilter(endpoint_id="hook-2"), before=None, limit=5)
        assert [each.status for _, each in found] == [401]
    finally:
        processes.end()
