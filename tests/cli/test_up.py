"""`bankimport up`: who is let in, and whose server it is."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from redis import Redis

from bankimport.cli.trial.doorkeeper import Doorkeeper
from bankimport.testing import own_redis, server
from tests.processes import Valkey, free_port


async def test_a_link_signs_one_browser_in_once() -> None:
    """The link's browser may operate and is somebody; the link is good for no other, nor is a guessed one or none; a
    browser that only looks ahead uses nothing up; a member's token is for its organisation alone."""
    used: list[str] = []
    doorkeeper = Doorkeeper({"acme-token": "acme"}, "door", lambda: used.append("used"))

    async def ask(request: web.Request) -> web.Response:
        asked = [("operate", None), ("sync", "acme"), ("sync", "globex")]
        who = await doorkeeper.user(request)
        return web.json_response([[await doorkeeper.authorize(request, *each) for each in asked], who])

    app = web.Application()
    app.router.add_get("/", ask)
    app.router.add_get("/login", doorkeeper.enter, allow_head=False)
    link = doorkeeper.new_link("")
    async with TestClient(TestServer(app)) as person, TestClient(person.server) as other:
        assert (await person.get(link, headers={"Sec-Purpose": "prefetch"})).status == 204
        assert (await person.head(link)).status == 405
        assert used == []
        rights, who = await (await person.get(link)).json()
        assert (rights, used) == ([True, True, True], ["used"])
        assert who
        assert (await person.get(link)).status == 200
        for address in (link, "/login?key=guessed", "/login"):
            assert (await other.get(address)).status == 403
        assert await (await other.get("/")).json() == [[False, False, False], None]
        headers = {"Authorization": "Bearer acme-token"}
        assert await (await other.get("/", headers=headers)).json() == [[False, True, False], "acme"]


def test_a_server_of_ones_own_is_no_other(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that another server takes at the same moment is left to it. Red before: two that were started at once
    shared one server, and the jobs of one ran in the worker of the other."""
    ports = iter([valkey.port, free_port()])
    monkeypatch.setattr(server, "_free_port", lambda: next(ports))
    with own_redis() as url, Redis.from_url(url) as own, Redis.from_url(valkey.url()) as other:
        assert own.info("server")["run_id"] != other.info("server")["run_id"]
