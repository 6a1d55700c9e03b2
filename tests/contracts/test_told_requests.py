"""Each provider tells of each request that it sends, and what became of it."""

import asyncio
from datetime import timedelta

import pytest
from aiohttp import web

from bankimport.errors import JobError
from bankimport.models import RequestOutcome
from bankimport.ports import TellsRequests
from bankimport.providers import BerlinGroup
from bankimport.providers.http import Limits
from tests.contracts.conftest import Serve
from tests.contracts.sandboxed import ALL, Make, connection

O = RequestOutcome  # noqa: E741  # short, for the table


def bank_that_answers(status: int, text: str = "{}") -> web.Application:
    """Return a bank with one answer to everything."""

    async def answer(request: web.Request) -> web.Response:
        if status == 0:
            await asyncio.sleep(30)
        return web.Response(status=status, text=text, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    return app


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
async def test_every_provider_tells(serve: Serve, make: Make) -> None:
    """Ours all do, with how long it took."""
    provider = make(await serve(bank_that_answers(503)), private_network=True)
    heard: list[tuple[RequestOutcome, timedelta]] = []
    assert isinstance(provider, TellsRequests)
    provider.tell_requests(lambda *told: heard.append(told))
    with pytest.raises(JobError):
        await provider.accounts(connection(), None)
    assert [outcome for outcome, _ in heard] == [O.FAILED]
    assert timedelta(0) < heard[0][1] < timedelta(seconds=10)
    await provider.aclose()


@pytest.mark.parametrize(
    ("status", "text", "outcome"),
    [(200, '{"accounts":[]}', O.ANSWERED), (200, "<html>", O.UNREADABLE), (400, "{}", O.REJECTED), (401, "{}", O.REFUSED),
     (403, "{}", O.REFUSED), (429, "{}", O.LIMITED), (500, "{}", O.FAILED), (302, "{}", O.REJECTED), (0, "", O.NO_ANSWER)],
)  # fmt: skip
async def test_what_became_of_it(serve: Serve, status: int, text: str, outcome: RequestOutcome) -> None:
    """Each status, an answer that can't be read, and none in time."""
    heard: list[RequestOutcome] = []
    limits = {"limits": Limits(request=timedelta(seconds=0.3))} if status == 0 else {}
    provider = BerlinGroup(await serve(bank_that_answers(status, text)), **limits)
    provider.tell_requests(lambda outcome, _: heard.append(outcome))
    try:
        await provider.accounts(connection(), None)
    except JobError:
        assert outcome is not O.ANSWERED
    assert heard == [outcome]
    await provider.aclose()


async def test_what_is_not_sent_is_not_told(serve: Serve) -> None:
    """A consent's id that no header can carry: nothing went to the bank."""
    heard: list[RequestOutcome] = []
    provider = BerlinGroup(await serve(bank_that_answers(200)))
    provider.tell_requests(lambda outcome, _: heard.append(outcome))
    with pytest.raises(JobError):
        await provider.accounts(connection("a\nb"), None)
    assert heard == []
    await provider.aclose()
