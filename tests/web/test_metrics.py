"""`GET /metrics`: the whole queue as Prometheus reads it."""

import sys
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bankimport.models import Alert, QueueHealth, QueueStats, WorkerInfo
from tests.web.serving import NOW, FakeService, Host

#: what the process counts itself, and what the store tells
_COUNTED = ("event_", "consents", "job_", "rows", "reads", "bank_", "requests", "leases", "starts")
_OWN = tuple(f"bankimport_{name}" for name in _COUNTED)
Samples = dict[tuple[str, ...], float]

WORKER = WorkerInfo(id="w-secret", host="host-secret", pid=1, running=2, version="1", seen_at=NOW)
ALERT = Alert(code="failed", message="101 failed jobs", value=101, threshold=100, since=NOW)
HEALTH = QueueHealth(
    is_healthy=False,
    is_paused=True,
    stats=QueueStats(waiting=3, failed=101, waiting_children=1),
    warnings=("careful",),
    alerts=(ALERT,),
    workers=(WORKER, WORKER),
    oldest_runnable_at=NOW,
)


async def scraped(host: Host, service: FakeService, monkeypatch: pytest.MonkeyPatch, health: QueueHealth) -> Samples:
    """Return the samples of a scrape at which the queue's health was `health`, by name and label values."""

    async def get_queue_health() -> QueueHealth:
        return health

    monkeypatch.setattr(service, "get_queue_health", get_queue_health)
    async with host.session.get(f"{host.origin}/api/metrics", headers={"Authorization": "*"}) as answer:
        assert (answer.status, answer.content_type) == (200, "text/plain")
        text = await answer.text()
    assert "secret" not in text
    assert "acme" not in text
    families = text_string_to_metric_families(text)
    samples = [each for family in families for each in family.samples]
    return {(each.name, *each.labels.values()): each.value for each in samples if not each.name.startswith(_OWN)}


async def test_the_numbers_are_the_healths(host: Host, service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape tells states, alerts, workers and how long the oldest job waits, and names no worker."""
    found = await scraped(host, service, monkeypatch, HEALTH)
    assert found.pop(("bankimport_oldest_waiting_seconds",)) > 0
    states = {
        "active": 0,
        "cancelled": 0,
        "completed": 0,
        "delayed": 0,
        "failed": 101,
        "paused": 0,
        "waiting": 3,
        "waiting-children": 1,
    }
    assert found == {
        ("bankimport_redis_up",): 1,
        ("bankimport_healthy",): 0,
        ("bankimport_paused",): 1,
        ("bankimport_workers",): 2,
        ("bankimport_alert", "failed"): 1,
        **{("bankimport_jobs", state): count for state, count in states.items()},
    }


async def test_nothing_is_zero_that_is_unknown(
    host: Host, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Redis is away a scrape says so, and doesn't say that no job waits."""
    away = Alert(code="redis-unavailable", message="Redis is not available", value=1, threshold=0, since=NOW)
    health = QueueHealth(is_healthy=False, is_paused=False, stats=QueueStats(), alerts=(away,))
    assert await scraped(host, service, monkeypatch, health) == {
        ("bankimport_redis_up",): 0,
        ("bankimport_healthy",): 0,
        ("bankimport_alert", "redis-unavailable"): 1,
    }


async def test_only_the_operator_reads_them(host: Host, service: FakeService) -> None:
    """A member of an organisation is refused."""
    url = f"{host.origin}/api/metrics"
    async with host.session.get(url, headers={"Authorization": "acme"}) as answer:
        assert (answer.status, answer.content_type) == (403, "application/problem+json")
    assert service.calls == []


async def test_the_missing_extra_is_named(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `prometheus-client` the answer is a problem that names the extra to install."""
    monkeypatch.delitem(sys.modules, "bankimport.metrics", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    async with host.session.get(f"{host.origin}/api/metrics", headers={"Authorization": "*"}) as answer:
        body: dict[str, Any] = await answer.json(content_type=None)
    assert (answer.status, body["code"]) == (501, "missing-extra")
    assert "pip install 'bankimport[metrics]'" in body["detail"]
