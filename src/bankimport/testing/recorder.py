"""What a worker emitted, kept for a test to look at."""

import asyncio

from bankimport.events import Event


class EventRecorder:
    """Keeps every event it is told: `bank_import.on("*", recorder)`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._told = asyncio.Condition()

    async def __call__(self, event: Event) -> None:
        async with self._told:
            self.events.append(event)
            self._told.notify_all()

    def named(self, name: str) -> list[Event]:
        """Return the events of that name, in the order of their ids."""
        return sorted((event for event in self.events if event.name == name), key=_order)

    def names(self, job_id: str) -> list[str]:
        """Return the names of a job's events, in the order of their ids."""
        return [event.name for event in sorted(self.events, key=_order) if event.job_id == job_id]

    async def wait_for(self, name: str, *, timeout: float = 10.0) -> Event:
        """Return the first event of that name, once there is one.

        Raises:
            TimeoutError: there is none within `timeout` seconds.
        """
        async with asyncio.timeout(timeout), self._told:
            await self._told.wait_for(lambda: bool(self.named(name)))
        return self.named(name)[0]


def _order(event: Event) -> tuple[int, int]:
    milliseconds, _, sequence = event.id.partition("-")
    return int(milliseconds), int(sequence)
