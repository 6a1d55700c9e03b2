"""Deployments for a module's tests, and a member of an organisation for each test."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.acceptance.deployment import Deployment, Organisation
from tests.crowded import ask_again
from tests.processes import Processes, Valkey

Deploy = Callable[..., Deployment]
_names = itertools.count()


@pytest.fixture(scope="module")
def deploy(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploy]:
    """Start deployments: Valkey, bank, host and worker, each with a database number and a folder of its own."""
    started: list[Deployment] = []

    def start(
        *,
        worker: bool = True,
        unattended_limit: int | None = None,
        more_banks: dict[str, dict[str, Any]] | None = None,
        **variables: str,
    ) -> Deployment:
        number = next(_names)
        processes = Processes(tmp_path_factory.mktemp(f"deployment-{number}"))
        # from the far end, so that it never meets the databases that `redis_url` counts up
        url = valkey.url(valkey.databases - 1 - number)
        deployment = Deployment(
            processes, url, variables, unattended_limit=unattended_limit, more_banks=more_banks or {}
        )
        started.append(deployment)
        deployment.start_bank()
        deployment.bankimport("db", "upgrade")
        host = deployment.start_host()
        running = deployment.start_worker() if worker else None
        host.line_sync("Running on")
        if running is not None:
            running.line_sync("worker.started")
        return deployment

    yield start
    for deployment in started:
        deployment.processes.end()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP session of the test's own."""
    async with aiohttp.ClientSession(middlewares=(ask_again,)) as session:
        yield session


@pytest.fixture
def member(deployment: Deployment, session: aiohttp.ClientSession) -> Organisation:
    """A member of the organisation acme, at the module's deployment."""
    session.headers["Authorization"] = "Bearer acme-token"
    return Organisation(session, deployment)


@pytest.fixture(scope="session")
def _exporter() -> InMemorySpanExporter:
    """OpenTelemetry takes a provider once a process."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def exporter(_exporter: InMemorySpanExporter) -> InMemorySpanExporter:
    """Where this process's spans go, from now on."""
    _exporter.clear()
    return _exporter
