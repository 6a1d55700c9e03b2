"""A headless Chromium, driven over its own DevTools protocol: nothing to install beside the browser."""

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

from tests.processes import Processes
from tests.waiting import PATIENCE, wait_until

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--remote-debugging-port=0", "--window-size=1280,900",
)  # fmt: skip


class Unanswered(AssertionError):
    """The page was left before it had answered, or the script failed in it."""


@dataclass
class Tab:
    """One page. `errors` holds every exception that its scripts have raised, and what the console calls an error;
    `requests` every address that was asked for."""

    socket: ClientWebSocketResponse
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    loads: int = 0
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _answers: dict[int, "asyncio.Future[dict[str, Any]]"] = field(default_factory=dict)

    async def listen(self) -> None:
        """Take what the browser says."""
        async for message in self.socket:
            told = json.loads(message.data)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            elif told["method"] == "Runtime.exceptionThrown" or (
                told["method"] == "Log.entryAdded" and told["params"]["entry"]["level"] == "error"
            ):
                self.errors.append(json.dumps(told["params"])[:2000])
            elif told["method"] == "Network.requestWillBeSent":
                self.requests.append(told["params"]["request"]["url"])
            elif told["method"] == "Page.loadEventFired":
                self.loads += 1

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": number, "method": method, "params": params})
        told = await asyncio.wait_for(self._answers[number], PATIENCE)
        if "navigated" in told.get("error", {}).get("message", ""):
            raise Unanswered(told)
        assert "error" not in told, told
        result: dict[str, Any] = told["result"]
        return result

    async def goto(self, url: str) -> None:
        """Load a page and wait for it."""
        loads = self.loads
        answer = await self.send("Page.navigate", url=url)
        assert "errorText" not in answer, answer
        await wait_until(lambda: self.loads > loads, what=f"{url} loads")

    async def evaluate(self, script: str) -> Any:
        """Return the value of an expression (awaited, if it is a promise)."""
        answer = await self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise Unanswered(answer)
        return answer["result"].get("value")

    async def wait_for(self, script: str, timeout: float = PATIENCE) -> Any:
        """Return the first true value of an expression. What fails isn't true yet: a page has a title before its body."""

        async def value() -> Any:
            try:
                return await self.evaluate(script)
            except Unanswered:
                return None

        return await wait_until(value, timeout, what=script)

    async def click(self, element: str) -> None:
        """Click the element that an expression finds, once the page has been read to its end."""
        await self.wait_for(
            f"document.readyState !== 'loading' && ((found) => {{ found.click(); return true }})({element})"
        )

    async def screenshot(self) -> bytes:
        """Return the page as PNG."""
        import base64

        return base64.b64decode((await self.send("Page.captureScreenshot", format="png"))["data"])


@asynccontextmanager
async def tab(processes: Processes) -> AsyncIterator[Tab]:
    """Start a browser with a new profile, and open a page in it."""
    assert BINARY is not None
    profile = processes.directory / "chromium"
    running = processes.start("chromium", [BINARY, *FLAGS, f"--user-data-dir={profile}", "about:blank"])
    line = await running.line("DevTools listening on ")
    origin = line.split("ws://")[1].split("/")[0]
    async with ClientSession() as session:
        async with session.get(f"http://{origin}/json/list") as answer:
            pages = [each for each in await answer.json() if each["type"] == "page"]
        async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=2**26) as socket:
            page = Tab(socket)
            listening = asyncio.create_task(page.listen())
            await page.send("Page.enable")
            await page.send("Runtime.enable")
            try:
                yield page
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
    running.kill()
