"""Redis over TLS: the kept connection, whose transport is given a protocol of ours, is TLS's as it was opened."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from redis.asyncio import Redis

from bankimport.commands import SyncConnection
from bankimport.errors import Unavailable
from bankimport.queue.queue import Enqueue, Queue
from bankimport.redis.connection import connect
from bankimport.settings import Settings
from tests.queue.driver import FUNCTIONS


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
async def tls_url(redis_url: str, tmp_path: Path) -> AsyncIterator[str]:
    """The test's database behind TLS, with a certificate for `localhost`."""
    authority, plain = trustme.CA(), urlsplit(redis_url)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(plain.hostname, plain.port)
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield f"rediss://localhost:{server.sockets[0].getsockname()[1]}{plain.path}"
    server.close()


async def test_jobs_over_tls(tls_url: str, tmp_path: Path) -> None:
    """Short calls, large ones, and a claim behind a wait; the client closes in time."""
    settings = Settings.load(redis_url=tls_url, redis_ssl_ca_certs=str(tmp_path / "authority.pem"))
    queue = Queue(connect(settings, Redis), settings)
    wanted = [Enqueue(SyncConnection(org_id="acme", connection_id=f"c{number}")) for number in range(1000)]
    job_id = await queue.enqueue(wanted[0])
    assert {how for how, _ in await queue.enqueue_many(wanted[1:])} == {"created"}
    behind = ("BLPOP", queue.keys.wake, 1)
    claimed = await queue.transitions.claim_jobs.aside(behind, 3.0, "w", "1w", 1, 0, list(FUNCTIONS))
    assert [row[0].decode() for row in claimed.rows] == [job_id]
    assert await queue.transitions.hear_claims.aside(None, 3.0, [(job_id, claimed.rows[0][6].decode())]) == []
    async with asyncio.timeout(10):
        await queue.client.aclose()


@pytest.mark.in_time
async def test_a_certificate_of_nobody_we_know(tls_url: str) -> None:
    """Nothing is sent to a server that isn't who it should be."""
    settings = Settings.load(redis_url=tls_url)
    queue = Queue(connect(settings, Redis), settings)
    with pytest.raises(Unavailable):
        await queue.enqueue(Enqueue(SyncConnection(org_id="acme", connection_id="c")))
    await queue.client.aclose()
