"""What leaves for a bank, counted at a server of bare sockets: nothing is sent that the caller doesn't know of."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bankimport.errors import Transient
from bankimport.models import BankConnection
from bankimport.providers import BerlinGroup

CONNECTION = BankConnection("c", "acme", "bank", consent_id="consent-1")
GOOD = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"accounts":[]}'


class CuttingBank:
    """A bank that answers the first `good` requests of a connection and cuts it at the next one."""

    def __init__(self, good: int, half: bytes = b"") -> None:
        self.good, self.half = good, half
        self.requests = 0
        self.connections = 0

    async def member(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        served = 0
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                served += 1
                writer.write(GOOD if served <= self.good else self.half)
                await writer.drain()
                if served > self.good:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def at(bank: CuttingBank) -> AsyncIterator[BerlinGroup]:
    """A provider of the bank."""
    server = await asyncio.start_server(bank.member, "127.0.0.1", 0)
    provider = BerlinGroup(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield provider
    finally:
        await provider.aclose()
        server.close()


@pytest.mark.parametrize("good", [0, 1, 2], ids=lambda n: f"after {n} good ones")
@pytest.mark.parametrize("half", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"], ids=["no byte", "half a header"])
async def test_a_request_whose_connection_is_cut_is_sent_once(good: int, half: bytes) -> None:
    """A GET on a kept connection that the bank closes is not repeated: the bank may have counted it."""
    bank = CuttingBank(good, half)
    async with at(bank) as provider:
        for _ in range(good):
            assert await provider.accounts(CONNECTION, None) == []
        with pytest.raises(Transient, match="connection to the bank failed"):
            await provider.accounts(CONNECTION, None)
        assert bank.requests == good + 1
        assert bank.connections == 1
        again = await provider.accounts(CONNECTION, None) if good else []
        assert again == []
