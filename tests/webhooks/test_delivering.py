"""What is written down is delivered: at least once, in order, verifiably, whatever the receiver does."""

import asyncio
import json
import secrets
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from aiohttp import web

from bankimport.jobs.long_read import NewRows
from bankimport.models import DeliveryFilter, DeliveryState, DisabledBy, WebhookSecrets, WebhookType, Window
from bankimport.ports import ChangeSet
from bankimport.status import ConnectionStatus
from bankimport.testing.contracts.store import inserts
from bankimport.webhooks import new_secret
from bankimport.webhooks.retrying import DEAD_AFTER, WAITS
from tests.waiting import wait_until
from tests.webhooks.conftest import NONE, Scene
from tests.webhooks.receiver import Receiver, receiving


def refuse(status: int, **headers: str) -> Any:
    """Return what answers so."""
    return lambda message: web.Response(status=status, headers=headers)


async def states(scene: Scene, **wanted: Any) -> list[str]:
    """Return the states of deliveries, in the order in which they were told."""
    found = await scene.store.webhook_deliveries(DeliveryFilter(**wanted), before=None, limit=100)
    return [each.state.value for _, each in reversed(found)]


async def test_new_rows_are_told(scene: Scene, receiver: Receiver) -> None:
    """The message is verifiable, names the rows and what is asked for them by, and holds nothing that a bank has said."""
    account = await scene.told(receiver)
    row = await scene.imported(account)
    await scene.later(NONE)
    [(id_, message)] = receiver.heard
    assert id_.startswith("msg_")
    assert message["type"] == "bank.transactions.changed"
    assert message["data"] == {
        "orgId": "acme",
        "connectionId": "giro",
        "accountId": account.id,
        "newTransactions": 1,
        "updatedTransactions": 0,
        "removedTransactions": 0,
        "newIds": [row],
        "updatedIds": [],
        "removedIds": [],
        "idsComplete": True,
    }
    assert await states(scene) == ["delivered"]


async def test_rows_that_are_made_as_they_are_read_are_told_by_the_ids_they_are_stored_under(
    scene: Scene, receiver: Receiver
) -> None:
    """A long read makes its new rows anew, with other ids, each time that somebody reads them."""
    account = await scene.told(receiver)
    entry = replace(next(iter(inserts(1).inserts)).transaction, ids=())
    rows = NewRows(lambda: iter([entry] * 3), 3, lambda: secrets.token_hex(8))
    assert await scene.store.apply(account, 0, ChangeSet(inserts=rows), None, None, 1)
    await scene.later(NONE)
    stored, _ = await scene.store.load_rows(account, Window(date.min), ())
    [told] = receiver.data("newIds")
    assert sorted(told) == sorted(row.id for row in stored)


async def test_what_is_not_committed_is_not_told(scene: Scene, receiver: Receiver) -> None:
    """A write that is refused, because others were quicker, tells nobody."""
    account = await scene.told(receiver)
    await scene.imported(account)
    assert not await scene.store.apply(account, 0, inserts(99), None, None, 1)
    assert await states(scene) == ["waiting"]


async def test_a_connections_life_is_told(scene: Scene, receiver: Receiver) -> None:
    """A sync, a consent that ends, a renewal, the end: each is told once, and what changes nothing isn't."""
    await scene.endpoint(receiver)
    await scene.account("giro")
    store, all_ = scene.store, list(ConnectionStatus)
    await store.note_sync("giro", scene.now, scene.now)
    await store.note_sync("giro", None)
    for _ in range(2):
        await store.set_connection_status("giro", all_, ConnectionStatus.REQUIRES_REAUTH, "consent-ending:7")
    await store.renew_consent("giro", "c2", None)
    await store.disconnect("giro")
    await scene.later(NONE)
    assert [message["type"] for _, message in receiver.heard] == [
        "bank.connection.synced",
        *["bank.connection.changed"] * 3,
    ]
    assert receiver.data("status") == [None, "REQUIRES_REAUTH", "ACTIVE", "DISCONNECTED"]
    assert receiver.data("reason") == [None, "consent-ending:7", None, None]


async def test_who_is_told_of_what(scene: Scene) -> None:
    """An organisation's endpoint hears of its own alone, one of some types of those, one of none of all."""
    async with receiving() as all_, receiving() as own, receiving() as some:
        await scene.endpoint(all_, id="all")
        await scene.endpoint(own, id="own", org_id="globex", url="https://hooks.example/globex")
        await scene.endpoint(some, id="some", types=(WebhookType.SYNCED,))
        acme, globex = await scene.account("a"), await scene.account("g", "globex")
        for account in (acme, globex):
            await scene.imported(account)
        await scene.store.note_sync("a", scene.now)
        assert await states(scene, endpoint_id="own") == ["waiting"]
        await scene.store.remove_webhook_endpoint("own")
        assert await states(scene, endpoint_id="own") == []
        await scene.later(NONE)
        assert sorted(all_.data("connectionId")) == ["a", "a", "g"]
        assert some.data("connectionId") == ["a"]


async def test_a_receiver_that_is_down_for_an_hour(scene: Scene, receiver: Receiver) -> None:
    """It is tried after 5 seconds, 5 minutes, 30 minutes, with the same id; when it is back each message of both
    connections has come, in its order, and not only the one whose time it was."""
    await scene.endpoint(receiver)
    accounts = [await scene.account("a"), await scene.account("b")]
    receiver.answer = refuse(503)
    rows = [await scene.imported(each) for each in (*accounts, *accounts, *accounts)]
    await scene.later(NONE)
    assert set(receiver.data("newTransactions")) == {1}
    first = receiver.ids()[0]
    for wait in WAITS[:3]:
        await scene.later(wait * 1.11)
        assert receiver.ids()[-2:].count(first) == 1
    assert len(set(receiver.ids())) == 2
    [endpoint] = await scene.store.webhook_endpoints()
    assert (endpoint.failing_since is not None, endpoint.waiting) == (True, 6)
    receiver.answer = refuse(200)
    receiver.heard.clear()
    await scene.later(timedelta(hours=2.3))
    of = {
        name: [
            ids[0] for c, ids in zip(receiver.data("connectionId"), receiver.data("newIds"), strict=True) if c == name
        ]
        for name in "ab"
    }
    assert of == {"a": rows[0::2], "b": rows[1::2]}
    [endpoint] = await scene.store.webhook_endpoints()
    assert (endpoint.failing_since, endpoint.waiting) == (None, 0)


async def test_one_that_is_back_hears_all_at_once(scene: Scene, receiver: Receiver) -> None:
    """The first message that it takes brings those of other connections, whose next attempt is hours away."""
    await scene.endpoint(receiver)
    first, second = await scene.account("a"), await scene.account("b")
    receiver.answer = refuse(500)
    await scene.imported(first)
    for wait in (NONE, *(wait * 1.11 for wait in WAITS[:4])):
        await scene.later(wait)
    await scene.imported(second)
    receiver.answer = refuse(200)
    receiver.heard.clear()
    await scene.later(NONE)
    assert sorted(receiver.data("connectionId")) == ["a", "b"]


async def test_one_that_answers_slowly_holds_up_nobody(scene: Scene, receiver: Receiver) -> None:
    """While it thinks, others hear everything; it has four under way, of four connections. In the end it has heard all,
    each connection's in its order."""
    async with receiving() as slow:
        slow.hold = asyncio.Event()
        await scene.endpoint(slow, id="slow")
        await scene.endpoint(receiver, id="quick")
        for number in range(6):
            account = await scene.account(f"c{number}")
            await scene.imported(account)
            await scene.imported(account)
        deliverer = scene.deliverer()

        async def all_heard() -> bool:
            await deliverer.look()
            return len(receiver.heard) == 12 and len(slow.heard) == 4

        await wait_until(all_heard)
        assert await deliverer.look() == 0
        assert len(set(slow.data("connectionId"))) == 4
        slow.hold.set()
        await deliverer.drain()
        await scene.later(NONE)
        order: dict[str, list[int]] = {}
        for connection, ids in zip(slow.data("connectionId"), slow.data("newIds"), strict=True):
            order.setdefault(connection, []).append(int(ids[0].removeprefix("row-")))
        assert all(rows == sorted(rows) for rows in order.values())
        assert sum(len(rows) for rows in order.values()) == 12


async def test_an_answer_that_takes_too_long_is_none(scene: Scene, receiver: Receiver) -> None:
    """It is an attempt that failed, and the message is sent again."""
    scene.settings = scene.settings.model_copy(update={"webhook_timeout": timedelta(milliseconds=200)})
    await scene.endpoint(receiver)
    await scene.imported(await scene.account("giro"))
    receiver.hold = asyncio.Event()
    await scene.later(NONE)
    [(_, delivery)] = await scene.store.webhook_deliveries(DeliveryFilter(), before=None, limit=2)
    assert (delivery.error, delivery.state, delivery.attempts) == ("timeout", DeliveryState.WAITING, 1)
    receiver.hold.set()
    await scene.later(timedelta(seconds=6))
    assert len(receiver.ids()) == 2
    assert len(set(receiver.ids())) == 1


async def test_two_workers_send_nothing_out_of_order(scene: Scene, receiver: Receiver) -> None:
    """However many deliver, one message of a connection is under way at a time."""
    account = await scene.told(receiver)
    rows = [await scene.imported(account) for _ in range(20)]
    deliverers = [scene.deliverer() for _ in range(3)]

    async def all_heard() -> bool:
        await asyncio.gather(*(each.look() for each in deliverers))
        return len(receiver.heard) >= 20

    await wait_until(all_heard)
    assert [ids[0] for ids in receiver.data("newIds")] == rows
    assert receiver.most_at_once == 1


async def test_a_worker_that_dies_is_replaced(scene: Scene, receiver: Receiver) -> None:
    """What it had claimed is sent by another when the claim has lapsed, with the same id; what the dead one says
    afterwards is not believed."""
    account = await scene.told(receiver)
    await scene.imported(account)
    until = scene.now + timedelta(seconds=30)
    [taken] = await scene.store.take_webhooks(scene.now, until, limit=5, busy={})
    await scene.later(timedelta(seconds=29))
    assert receiver.heard == []
    await scene.later(timedelta(seconds=2))
    assert receiver.ids() == [taken.delivery.id]
    from bankimport.models import AttemptEnded

    late = AttemptEnded(DeliveryState.WAITING, 500, "refused", timedelta(0))
    assert not await scene.store.settle_webhook(taken, late, scene.now)
    assert await states(scene) == ["delivered"]


async def test_a_worker_that_stops_gives_back(scene: Scene, receiver: Receiver) -> None:
    """A request that is under way as its worker stops is sent again by the next at once."""
    account = await scene.told(receiver)
    await scene.imported(account)
    receiver.hold = asyncio.Event()
    first, second = scene.deliverer(), scene.deliverer()
    await first.look()
    await wait_until(lambda: len(receiver.heard) == 1)
    await first.aclose()
    receiver.hold.set()
    await scene.later(NONE, second)
    assert len(receiver.ids()) == 2
    assert len(set(receiver.ids())) == 1
    await second.aclose()


async def test_a_message_that_is_always_refused(scene: Scene, receiver: Receiver) -> None:
    """While others are taken, it is given up after ten attempts, and the next of its connection goes out; it can be sent
    again."""
    await scene.endpoint(receiver)
    poisoned, well = await scene.account("poisoned"), await scene.account("well")
    bad, good = await scene.imported(poisoned), await scene.imported(poisoned)
    receiver.answer = lambda message: web.Response(status=400 if message["data"]["newIds"] == [bad] else 204)
    await scene.later(NONE)
    for wait in WAITS:
        await scene.imported(well)
        await scene.later(wait * 1.11)
    assert receiver.data("newIds").count([bad]) == 1 + len(WAITS)
    assert receiver.data("newIds").count([good]) == 1
    assert await states(scene, connection_id="poisoned") == ["failed", "delivered"]
    receiver.answer = refuse(200)
    assert (
        await scene.store.replay_webhooks(DeliveryFilter(state=DeliveryState.FAILED, endpoint_id="hook-1"), scene.now)
        == 1
    )
    await scene.later(NONE)
    assert await states(scene, connection_id="poisoned") == ["delivered", "delivered"]


async def test_a_dead_endpoint_is_disabled_and_loses_nothing(scene: Scene, receiver: Receiver) -> None:
    """After three days without a success it is told nothing more, the operator is alarmed, and all that was and is
    written waits until somebody enables it."""
    account = await scene.told(receiver)
    rows = [await scene.imported(account)]
    receiver.answer = refuse(500)
    await scene.later(NONE)
    for wait in WAITS:
        await scene.later(wait * 1.11)
    assert [ended.disable for ended in scene.disabled] == [DisabledBy.DEAD]
    assert len(receiver.heard) == 1 + len(WAITS)
    rows.append(await scene.imported(account))
    receiver.answer = refuse(200)
    receiver.heard.clear()
    await scene.later(DEAD_AFTER)
    assert receiver.heard == []
    assert await scene.store.set_webhook_disabled("hook-1", None, scene.now)
    await scene.later(NONE)
    assert receiver.data("newIds") == [[row] for row in rows]


async def test_one_that_has_gone(scene: Scene, receiver: Receiver) -> None:
    """410 disables at once; nothing is followed anywhere else."""
    account = await scene.told(receiver)
    await scene.imported(account)
    receiver.answer = refuse(307, Location=receiver.url)
    await scene.later(NONE)
    assert len(receiver.heard) == 1
    receiver.answer = refuse(410)
    await scene.later(WAITS[0] * 1.11)
    assert [ended.disable for ended in scene.disabled] == [DisabledBy.GONE]
    found = await scene.store.webhook_deliveries(DeliveryFilter(), before=None, limit=1)
    assert (found[0][1].status, found[0][1].state) == (410, DeliveryState.WAITING)


async def test_one_that_asks_to_wait(scene: Scene, receiver: Receiver) -> None:
    """A `Retry-After` replaces a shorter wait."""
    account = await scene.told(receiver)
    await scene.imported(account)
    receiver.answer = refuse(429, **{"Retry-After": "900"})
    await scene.later(NONE)
    await scene.later(timedelta(seconds=890))
    assert len(receiver.heard) == 1
    await scene.later(timedelta(seconds=20))
    assert len(receiver.heard) == 2


async def test_replayed_messages_come_in_their_order(scene: Scene, receiver: Receiver) -> None:
    """With their old ids, before what is newer."""
    account = await scene.told(receiver)
    rows = [await scene.imported(account) for _ in range(3)]
    await scene.later(NONE)
    before = receiver.ids()
    rows.append(await scene.imported(account))
    assert await scene.store.replay_webhooks(DeliveryFilter(connection_id="giro"), scene.now) == 3
    await scene.later(NONE)
    assert receiver.ids()[3:6] == before
    assert [ids[0] for ids in receiver.data("newIds")[3:]] == rows


async def test_a_secret_is_replaced(scene: Scene, receiver: Receiver) -> None:
    """For a while a message is verifiable with the old one and with the new one; afterwards with the new one alone."""
    account = await scene.told(receiver)
    old, new = receiver.secrets[0], new_secret()
    await scene.store.put_webhook_secrets("hook-1", WebhookSecrets(new, old, scene.now + timedelta(hours=1)))
    for secret in (old, new):
        receiver.secrets.append(secret)
        await scene.imported(account)
        await scene.later(NONE)
    assert len(receiver.heard) == 2
    assert [headers["webhook-signature"].count("v1,") for headers, _ in receiver.raw] == [2, 2]
    scene.now += timedelta(hours=2)
    receiver.verify = False  # its clock is ours no longer
    await scene.imported(account)
    await scene.later(NONE)
    assert receiver.raw[-1][0]["webhook-signature"].count("v1,") == 1


async def test_the_body_is_the_same_in_every_attempt(scene: Scene, receiver: Receiver) -> None:
    """Byte for byte; the time of the header is the attempt's, or receivers would take it for a replay."""
    account = await scene.told(receiver)
    await scene.imported(account)
    receiver.answer = refuse(500)
    for wait in (NONE, timedelta(seconds=6)):
        await scene.later(wait)
    (first, second) = receiver.raw
    assert first[1] == second[1]
    assert int(second[0]["webhook-timestamp"]) - int(first[0]["webhook-timestamp"]) == 6


async def test_old_messages_go(scene: Scene, receiver: Receiver) -> None:
    """What was delivered a week ago, and what was not a month ago; the rest stays."""
    account = await scene.told(receiver)
    await scene.imported(account)
    await scene.later(NONE)
    receiver.answer = refuse(500)
    await scene.imported(account)
    await scene.later(timedelta(days=8))
    assert await states(scene) == ["waiting"]
    await scene.later(timedelta(days=25))
    assert await states(scene) == []


async def test_a_secret_stands_nowhere(scene: Scene, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    """It is in no line of the log and in no message's text for people; an address's query is in none either."""
    endpoint = await scene.endpoint(receiver, url=f"{receiver.url}?token=canary")
    account = await scene.account("giro")
    await scene.imported(account)
    receiver.answer = refuse(500)
    await scene.later(NONE)
    [taken] = await scene.store.take_webhooks(scene.now + timedelta(minutes=1), scene.now, limit=1, busy={})
    printed = "".join(capsys.readouterr()) + repr(taken.secrets)
    assert receiver.secrets[0] not in printed
    assert "canary" not in printed
    assert "webhook.refused" in printed
    assert endpoint.place == receiver.url
    assert json.loads(taken.delivery.body)["data"]["connectionId"] == "giro"


async def test_nothing_is_lost_or_out_of_order_while_others_write(scene: Scene, receiver: Receiver) -> None:
    """Imports commit while several workers deliver: no lane comes to rest with a message in it, and each connection's
    messages come in the order of its commits."""
    await scene.endpoint(receiver)
    accounts = [await scene.account(f"c{number}") for number in range(4)]
    written: dict[str, list[str]] = {}
    deliverers = [scene.deliverer() for _ in range(3)]

    async def write(name: str, account: Any) -> None:
        for _ in range(12):
            written.setdefault(name, []).append(await scene.imported(account))

    async def deliver(each: Any, until: asyncio.Event) -> None:
        while not until.is_set():
            await each.look()
            await asyncio.sleep(0)

    over = asyncio.Event()
    delivering = [asyncio.create_task(deliver(each, over)) for each in deliverers]
    await asyncio.gather(*(write(f"c{number}", account) for number, account in enumerate(accounts)))
    await wait_until(lambda: len(receiver.heard) == 48, what="all was heard")
    over.set()
    await asyncio.gather(*delivering)
    heard: dict[str, list[str]] = {}
    for connection, ids in zip(receiver.data("connectionId"), receiver.data("newIds"), strict=True):
        heard.setdefault(connection, []).append(ids[0])
    assert heard == written
