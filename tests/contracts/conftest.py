"""Servers for provider tests: the sandbox bank and banks that mean no good, over real sockets."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from tests.processes import ROOT

pytest.register_assert_rewrite("bankimport.testing.contracts")

Serve = Callable[[web.Application], Awaitable[str]]


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    """Serve an application on a free port; yield its base URL."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves applications until the test ends."""
    async with AsyncExitStack() as stack:

        async def start(app: web.Application) -> str:
            return await stack.enter_async_context(serving(app))

        yield start


SPEC = Path(os.environ.get("BERLIN_GROUP_SPEC", ROOT.parent / "shared/data/berlin-group/psd2-api_1.3.6.yaml"))


@pytest.fixture(scope="session")
def spec() -> dict[str, Any]:
    """Berlin Group's own description (CC BY 4.0), beside the checkout."""
    if not SPEC.exists():
        pytest.skip(f"{SPEC} is not here; it comes beside the checkout in CI")
    loaded: dict[str, Any] = yaml.load(SPEC.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return loaded
