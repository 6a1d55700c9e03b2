"""The queue's health as Prometheus reads it (extra `metrics`). No label holds an id or an organisation."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from bankimport.errors import MissingExtra
from bankimport.models import QueueHealth
from bankimport.telemetry import telemetry

try:
    from prometheus_client import CollectorRegistry, Metric, generate_latest
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.registry import Collector
except ModuleNotFoundError as error:
    if error.name != "prometheus_client":
        raise
    raise MissingExtra("metrics", "GET /metrics") from None

#: Prometheus's classic text; none of our names needs a newer one
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(health: QueueHealth, now: datetime, consents: Mapping[int, int] | None = None) -> bytes:
    """Return the text of `GET /metrics`: the whole queue, consents by the days that are left, and this process's own
    numbers. While Redis is away only its absence is told: nothing is said to be 0."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Health(health, now, consents or {}))
    own = telemetry.enable()
    return generate_latest(registry) + (generate_latest(own.registry) if own is not None else b"")


class _Health(Collector):
    def __init__(self, health: QueueHealth, now: datetime, consents: Mapping[int, int]) -> None:
        self._health = health
        self._consents = consents
        self._now = now

    def collect(self) -> Iterator[Metric]:
        health = self._health
        known = "redis-unavailable" not in {alert.code for alert in health.alerts}
        yield _gauge("redis_up", "1 while Redis answers", known)
        yield _gauge("healthy", "1 while there is no alert", health.is_healthy)
        alerts = GaugeMetricFamily("bankimport_alert", "1 for each alert in force, by its code", labels=["code"])
        for alert in health.alerts:
            alerts.add_metric([alert.code], 1)
        yield alerts
        if self._consents:
            ending = GaugeMetricFamily(
                "bankimport_consents_ending", "consents that end within so many days, from today", labels=["days"]
            )
            for days, count in self._consents.items():
                ending.add_metric([str(days)], count)
            yield ending
        if known:
            yield from self._queue()

    def _queue(self) -> Iterator[Metric]:
        health = self._health
        jobs = GaugeMetricFamily(
            "bankimport_jobs", "jobs by state; of those that ended, the kept ones", labels=["state"]
        )
        for name, count in health.stats:
            jobs.add_metric([name.replace("_", "-")], count)
        yield jobs
        yield _gauge("paused", "1 while the queue is paused", health.is_paused)
        yield _gauge("workers", "live worker processes", len(health.workers))
        since = health.oldest_runnable_at
        waited = max((self._now - since).total_seconds(), 0) if since else 0
        yield _gauge("oldest_waiting_seconds", "how long the next job to start has waited; 0 if none waits", waited)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"bankimport_{name}", meaning, value=float(value))
