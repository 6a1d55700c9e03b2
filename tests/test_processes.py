"""What the tests themselves stand on: the server, the processes, the waiting, the check of the keys."""

import signal

import pytest
import redis.asyncio

from tests.endless_keys import endless_keys
from tests.processes import Processes, Valkey
from tests.waiting import wait_until


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
