"""All ways of consenting pass one contract at the sandbox: three APIs, of which one has three ways."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
from yarl import URL

from bankimport.errors import InvalidRequest
from bankimport.models import Begun
from bankimport.providers import GoCardless
from bankimport.sandbox import create_app
from bankimport.testing.contracts import Answer, ConsentFlowContract, FlowUnderTest
from tests.contracts.conftest import Serve
from tests.contracts.sandboxed import ALL

WAYS: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "redirect": ("berlin-group", {}, None),
    "oauth": ("berlin-group", {"client_id": "us"}, None),
    "decoupled": ("berlin-group", {"approach": "decoupled"}, None),
    "enable-banking": ("enable-banking", {}, "DE:Sandbox Bank"),
    "gocardless": ("gocardless", {}, "SANDBOXFINANCE_SFIN0000"),
}


class TestConsentFlows(ConsentFlowContract):
    """The contract, five times."""

    @pytest.fixture(params=WAYS)
    async def bank(self, request: pytest.FixtureRequest, serve: Serve) -> AsyncIterator[FlowUnderTest]:
        """The sandbox, with people who press its buttons."""
        name, options, institution = WAYS[request.param]
        url = await serve(create_app(by_oauth=request.param == "oauth"))
        provider = ALL[name](url, **options)

        async def answer(begun: Begun, answer: Answer, who: str) -> Mapping[str, str] | None:
            page = URL(begun.url or f"{url}/sandbox/authorise/{begun.consent_id}")
            async with browser.get(page) as shown:
                page = shown.url
            form = {"decision": answer.value, "person": who}
            async with browser.post(page, data=form, allow_redirects=False) as sent:
                return dict(URL(sent.headers["Location"]).query) if sent.status == 303 else None

        async with aiohttp.ClientSession() as browser:
            yield FlowUnderTest(provider, answer, institution, "anna-1" if request.param == "decoupled" else None)
        await provider.aclose()


async def test_gocardless_lists_its_banks(serve: Serve) -> None:
    """Of a country, or of all, with how long a consent may last; a country without banks is a wrong field."""
    provider = GoCardless(secret_id="i", secret_key="k", base_url=await serve(create_app()))
    for country, shown in (("fi", "FI"), (None, "DE")):
        [bank] = await provider.consent_flow.banks(country)
        assert (bank.id, bank.name, bank.country) == ("SANDBOXFINANCE_SFIN0000", "Sandbox Bank", shown)
        assert bank.longest_consent is not None
        assert bank.longest_consent.days == 180
    for wrong in ("US", "D", "D1", "ÄÖ"):
        with pytest.raises(InvalidRequest, match="country"):
            await provider.consent_flow.banks(wrong)
    await provider.aclose()
