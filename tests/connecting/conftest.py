"""A site for each kind of bank."""

from collections.abc import AsyncIterator

import pytest

from bankimport.settings import Settings
from tests.connecting.site import Site, site_of


@pytest.fixture(params=["berlin-group", "oauth", "enable-banking", "gocardless"])
async def site(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Site]:
    """A host whose people connect their bank."""
    async with site_of(settings, request.param) as site:
        yield site
