"""A TCP proxy that cuts, delays and loses, between a worker and its Redis; it runs in the loop of the test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

_CHUNK = 65536


class Link:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._ends = (client, server)
        self.frozen = False

    def cut(self) -> None:
        """Reset both ends; what was under way is lost."""
        for end in self._ends:
            end.transport.abort()


class Proxy:
    """Forwards to a port of the loopback interface, as long as it is told to. `async with` opens and closes it."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay = 0.0
        self.lost = 0
        self._fatal: bytes | None = None
        self._held: bytes | None = None
        self._refusing = False
        self._links: set[Link] = set()
        self._answering = asyncio.Event()
        self._answering.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._answering.set()
        self.cut()
        await self._server.wait_closed()

    def url(self, database_url: str) -> str:
        """Return the URL of the same database through this proxy."""
        return database_url.replace(f":{self.target}/", f":{self.port}/")

    def cut(self) -> None:
        """Reset every connection; new ones are served."""
        for link in list(self._links):
            link.cut()

    def freeze(self) -> None:
        """Forward nothing more on the connections there are, and close none: half-open. New ones are served."""
        for link in self._links:
            link.frozen = True

    def lose_answer_with(self, text: str) -> None:
        """Reset the connection on which the next answer with `text` comes, instead of passing it on."""
        self._fatal = text.encode()

    def hold_answers_from(self, text: str) -> None:
        """Let requests through, but keep the next answer with `text`, and all after it, until `release_answers`."""
        self._held = text.encode()

    def release_answers(self) -> None:
        """Pass on what was held."""
        self._answering.set()

    @contextlib.asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Reset every connection, and new ones at once, while the block runs."""
        self._refusing = True
        self.cut()
        yield
        self._refusing = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:  # the server is away: so is the proxy
            writer.transport.abort()
            return
        link = Link(writer, back)
        self._links.add(link)
        try:
            await asyncio.gather(self._requests(reader, back, link), self._answers(there, writer, link))
        finally:
            link.cut()
            self._links.discard(link)

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if not link.frozen:
                    writer.write(chunk)
                    await writer.drain()
        link.cut()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                if self._held is not None and self._held in chunk:
                    self._held = None
                    self._answering.clear()
                await self._answering.wait()
                if self._fatal is not None and self._fatal in chunk:
                    self._fatal = None
                    self.lost += 1
                    break
                if not link.frozen:
                    writer.write(chunk)
                    await writer.drain()
        link.cut()
