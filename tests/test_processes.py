"""What the tests themselves stand on: the server, the processes, the waiting, the check of the keys."""

import json
import signal
from pathlib import Path

import pytest
import redis.asyncio

from tests.endless_keys import endless_keys
from tests.processes import Processes, Valkey
from tests.waiting import PATIENCE, wait_until


async def test_two_tests_never_share_a_database(redis_client: "redis.asyncio.Redis[str]", redis_url: str) -> None:
    """A test begins with an empty database."""
    assert await redis_client.dbsize() == 0
    await redis_client.set("a", "b")


async def test_the_next_test_sees_nothing(redis_client: "redis.asyncio.Redis[str]") -> None:
    """What the test before wrote is gone."""
    assert await redis_client.get("a") is None


async def test_waiting_fails_with_what_was_waited_for() -> None:
    """A condition that never comes true ends the test with its description."""
    with pytest.raises(AssertionError, match=r"not within 0\.05 s: the moon"):
        await wait_until(lambda: False, 0.05, what="the moon")


async def test_a_process_is_seen_to_print_and_stops_when_told(processes: Processes) -> None:
    """Readiness is a printed line, and SIGTERM ends the process by its pid."""
    running = processes.python("echo", "-c", "import signal; print('ready'); signal.pause()")
    assert await running.line("ready") == "ready\n"
    assert running.stop() == -signal.SIGTERM


async def test_a_process_that_dies_early_shows_its_output(processes: Processes) -> None:
    """Waiting for a line of a process that has ended fails at once, with what it printed."""
    running = processes.python("echo", "-c", "print('no luck'); raise SystemExit(3)")
    with pytest.raises(AssertionError, match=r"(?s)ended \(3\).*no luck"):
        await running.line("ready")


TELLING = """
import json, os, signal, sys
told = {"argv": sys.argv, "environment": dict(os.environ), "directory": os.getcwd(), "name": __name__, "input": sys.stdin.read(),
        "path": sys.path, "own session": os.getsid(0) == os.getpid(),
        "signals": {name: str(signal.getsignal(getattr(signal, name))) for name in ("SIGINT", "SIGTERM", "SIGCHLD", "SIGPIPE")},
        "streams": [(each.encoding, each.errors, each.write_through) for each in (sys.stdout, sys.stderr)], "main": sys.modules["__main__"].__dict__ is globals()}
print(json.dumps(told))
print("to the other", file=sys.stderr)
"""


@pytest.mark.parametrize("way", ["script", "-m", "-c"])
def test_a_warm_program_finds_what_a_cold_one_finds(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Arguments, environment, directory, module path, signals and streams are those of a program that was just begun."""
    monkeypatch.setenv("BANK_SYNC_FORGOTTEN", "a developer's own")
    (tmp_path / "telling.py").write_text(TELLING)
    command = {"script": [str(tmp_path / "telling.py")], "-m": ["-m", "telling"], "-c": ["-c", TELLING]}[way]
    monkeypatch.syspath_prepend(str(tmp_path / "of this process alone"))
    told = []
    for cold in (False, True):
        processes.cold = cold
        told.append(json.loads(processes.answer(*command, "--an", "argument", environment={"TZ": "Asia/Kabul"})))
    assert told[0] == told[1]


@pytest.mark.parametrize("cold", [False, True])
@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("pass", 0),
        ("raise SystemExit", 0),
        ("raise SystemExit(7)", 7),
        ("raise SystemExit('said')", 1),
        ("raise ValueError('said')", 1),
        ("import sys; sys.excepthook = lambda *_: print('said'); raise ValueError('no')", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT); signal.pause()", -signal.SIGINT),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM); signal.pause()", -signal.SIGTERM),
        ("import os; os._exit(9)", 9),
        ("import atexit; atexit.register(lambda: print('said'))", 0),
        ("import threading, time; threading.Timer(0.01, lambda: print('said')).start()", 0),
    ],
)
def test_an_end_is_the_same_warm_and_cold(processes: Processes, program: str, code: int, cold: bool) -> None:
    """The exit code is the program's, and what it says of it is in its output."""
    processes.cold = cold
    running = processes.python("ending", "-c", program)
    assert running.process.wait(PATIENCE) == code
    assert ("said" in running.output()) is ("said" in program)


def test_a_key_without_an_end_is_found(redis_url: str, valkey: Valkey) -> None:
    """The check of the keys tells the promised ends from the missing ones."""
    with redis.Redis.from_url(redis_url) as client:
        client.set("bankimport:bank-import:idempotency:x", "1", ex=60)
        client.zadd("bankimport:bank-import:state:waiting", {"a": 1})
        client.hset("bankimport:bank-import:job:a", "state", "active")
        assert endless_keys(client) == []
        client.set("arq:job:a", "1")
        client.set("bankimport:bank-import:idempotency:y", "1")
        client.set("bankimport:bank-import:novelty", "1")
        client.hset("bankimport:bank-import:job:a", "state", "failed")
        assert len(endless_keys(client)) == 4
