"""A host over a fake service."""

from collections.abc import AsyncIterator

import pytest

from tests.web.serving import FakeService, Host, serving


@pytest.fixture
def service() -> FakeService:
    """What the host does."""
    return FakeService()


@pytest.fixture
async def host(service: FakeService) -> AsyncIterator[Host]:
    """The host."""
    async with serving(service) as running:
        yield running
