"""The program of docs/how-to/fastapi.md, run to the letter."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.conftest import Deploy
from tests.processes import ROOT, Running, free_port
from tests.waiting import wait_until

ACME = {"Authorization": "Bearer acme"}


def program() -> str:
    """Return the program of the page."""
    page = (ROOT / "docs" / "how-to" / "fastapi.md").read_text()
    [found] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    return found


@pytest.fixture
async def host(deploy: Deploy, tmp_path: Path) -> AsyncIterator[tuple[str, Running]]:
    """The program beside a bank and a worker, once it answers; and its address."""
    deployment = deploy()
    await asyncio.to_thread(deployment.insert_connection, "giro")
    (tmp_path / "host.py").write_text(program())
    port = free_port()
    running = deployment.processes.python(
        "fastapi", str(tmp_path / "host.py"), environment={**deployment.environment, "HOST_PORT": str(port)}
    )
    await running.line("Uvicorn running")
    yield f"http://127.0.0.1:{port}", running


async def told(session: aiohttp.ClientSession, url: str, most: int | None = None, **headers: str) -> list[str]:
    """Return the ids and data of an event stream, to its end or so many."""
    lines: list[str] = []
    async with session.get(url, headers=ACME | headers) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        async for line in answer.content:
            if line.startswith(b"data:"):
                lines.append(line.decode().removeprefix("data:"))
            if most is not None and len(lines) >= most:
                break
    return lines


async def test_the_program(host: tuple[str, Running]) -> None:
    """A sync is asked for, its events come to their end and resume without a gap, the job is shown to its own alone,
    mistakes are answers before the first byte, and an open stream does not keep the host from stopping."""
    url, running = host
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/connections/giro/sync", headers=ACME, json={"forceFullSync": True}) as answer:
            assert answer.status == 202, await answer.text()
            job_id = await answer.json()
        events = [json.loads(line) for line in await told(session, f"{url}/jobs/{job_id}/events")]
        options = {"accountIds": ["a-1"], "triggeredBy": "maria"}  # red before: both were dropped in silence
        async with session.post(f"{url}/connections/giro/sync", headers=ACME, json=options) as answer:
            other = await answer.json()
        async with session.get(f"{url}/jobs/{other}", headers=ACME) as answer:
            assert (await answer.json())["data"].items() >= options.items()
        assert (events[0]["name"], events[-1]["name"]) == ("bank.job.queued", "bank.job.completed")
        rest = await told(session, f"{url}/jobs/{job_id}/events", **{"Last-Event-ID": events[2]["id"]})
        assert [json.loads(line)["id"] for line in rest] == [event["id"] for event in events[3:]]
        async with session.get(f"{url}/jobs/{job_id}", headers=ACME) as answer:
            assert (answer.status, (await answer.json())["state"]) == (200, "completed")
        for path, headers, status in (
            (f"/jobs/{job_id}", {"Authorization": "Bearer globex"}, 404),
            (f"/jobs/{job_id}/events", {"Authorization": "Bearer globex"}, 404),
            (f"/jobs/{job_id}/events?after=x", ACME, 422),
            (f"/jobs/{job_id}", {}, 401),
        ):
            async with session.get(url + path, headers=headers) as answer:
                assert answer.status == status, path
        open_stream = asyncio.create_task(told(session, f"{url}/jobs/{job_id}/events?after={events[-1]['id']}"))
        await wait_until(lambda: "Uvicorn running" in running.output())
        running.signal(signal.SIGTERM)
        assert await asyncio.to_thread(running.process.wait, 20) is not None
        await asyncio.gather(open_stream, return_exceptions=True)


async def test_what_is_wrong_at_the_start(deploy: Deploy, tmp_path: Path) -> None:
    """Without Redis the program ends with one line that says what to mend. Red before: uvicorn's traceback."""
    deployment = deploy()
    (tmp_path / "host.py").write_text(program())
    away = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}", "HOST_PORT": str(free_port())}
    running = deployment.processes.python(
        "fastapi", str(tmp_path / "host.py"), environment={**deployment.environment, **away}
    )
    assert await asyncio.to_thread(running.process.wait, 30) == 1
    lines = [line for line in running.output().splitlines() if line.strip()]
    assert len(lines) == 1, running.output()
    assert lines[0].startswith("bankimport: Redis at 127.0.0.1:")
