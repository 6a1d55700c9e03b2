"""What banks behind Enable Banking and GoCardless were not yet seen to do, and may."""

from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from bankimport.errors import AccountUnavailable
from bankimport.models import ConsentStatus
from bankimport.ports import BankProvider
from tests.contracts.conftest import Serve
from tests.contracts.sandboxed import ALL, connection

TOKENS = {"access": "a-1", "access_expires": 86_400, "refresh": "r-1", "refresh_expires": 2_592_000}
LINKED = {"status": "LN", "agreement": "a", "accounts": ["u-1", "u-2"]}
GONE = (404, {"summary": "Not found.", "detail": "Not found."})


async def answering(serve: Serve, name: str, answers: Mapping[str, Any]) -> BankProvider:
    """Return a provider of a bank with these answers, by what stands in the path: JSON, or a status with it."""

    async def answer(request: web.Request) -> web.Response:
        told = next((each for part, each in answers.items() if part in request.path), TOKENS)
        status, body = told if isinstance(told, tuple) else (200, told)
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    return ALL[name](await serve(app))


async def test_an_account_that_is_gone_costs_no_other(serve: Serve) -> None:
    """GoCardless still lists it, and knows nothing of it; where all are gone that is said."""
    about = {"id": "u-1", "iban": "DE89370400440532013000"}
    bank = {"/requisitions": LINKED, "/details": {"account": {"currency": "EUR"}}, "/accounts/u-2/": GONE}
    provider = await answering(serve, "gocardless", {**bank, "/accounts/u-1/": about})
    assert [each.provider_id for each in await provider.accounts(connection(), None)] == ["u-1"]
    await provider.aclose()
    provider = await answering(serve, "gocardless", {**bank, "/accounts/u-1/": GONE})
    with pytest.raises(AccountUnavailable):
        await provider.accounts(connection(), None)
    await provider.aclose()


@pytest.mark.parametrize(
    ("agreement", "last_day"),
    [
        (GONE, None),
        ({"accepted": "2026-01-01T10:00:00Z", "access_valid_for_days": "90"}, "2026-04-01"),
        ({"accepted": "2026-01-01T10:00:00Z", "access_valid_for_days": "many"}, None),
    ],
    ids=str,
)
async def test_an_odd_agreement_ends_no_consent(serve: Serve, agreement: Any, last_day: str | None) -> None:
    """A requisition that is linked is valid, in small letters too; its last day is told where it can be read."""
    answers = {"/requisitions": {**LINKED, "status": "ln"}, "/agreements": agreement}
    provider = await answering(serve, "gocardless", answers)
    consent = await provider.consent(connection(), None)
    assert consent.status is ConsentStatus.VALID
    assert (None if consent.valid_until is None else consent.valid_until.isoformat()) == last_day
    await provider.aclose()


async def test_details_that_fail_for_ever_cost_no_account(serve: Serve) -> None:
    """Enable Banking's hashes name an account; a bank whose details never come is read all the same."""
    member = {"uid": "u-1", "identification_hash": "hash-1"}
    session = {"status": "AUTHORIZED", "accounts": ["u-1"], "accounts_data": [member], "access": {}}
    answers = {"/sessions": session, "/details": (502, {"error": "ASPSP_ERROR"})}
    provider = await answering(serve, "enable-banking", answers)
    [account] = await provider.accounts(connection(), None)
    assert [(each.kind, each.value) for each in account.references] == [("identification_hash", "hash-1")]
    await provider.aclose()
