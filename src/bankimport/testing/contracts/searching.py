"""What every `ConnectionSearch` must do. A store's test subclasses it and gives it a `store` fixture: an empty store
that is a `BankStore`, a `ConnectionStore` and a `ConnectionSearch`."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from bankimport.access.health import health_of
from bankimport.models import ConnectionFilter, ConnectionHealth
from bankimport.status import ConnectionStatus

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
_STATES = (
    (ConnectionStatus.ACTIVE, None),
    (ConnectionStatus.ERROR, "bank-rejected"),
    (ConnectionStatus.REQUIRES_REAUTH, None),
    (ConnectionStatus.REQUIRES_REAUTH, "expired"),
    (ConnectionStatus.REQUIRES_REAUTH, "consent-ending:2026-03-12:3"),
    (ConnectionStatus.DISCONNECTED, None),
    (ConnectionStatus.PENDING, None),
)
_DAYS_LEFT = (None, -1, 0, 14, 15)
_HOURS_AGO = (None, 25, 27)


async def _fill(store: Any, every: int = 1) -> None:
    """Add a connection of each (or `every` so many) state, last day and last sync, to three organisations and two banks
    in turn."""
    kinds = [*product(_STATES, _DAYS_LEFT, _HOURS_AGO)][::every]
    for number, ((status, reason), days, hours) in enumerate(kinds):
        last_day = None if days is None else NOW.date() + timedelta(days=days)
        org_id, bank = f"org-{number % 3}", f"bank-{number % 2}"
        name = await store.add_connection(org_id=org_id, bank=bank, valid_until=last_day, id=f"c{number:03}")
        if hours is not None:
            await store.note_sync(name, NOW - timedelta(hours=hours))
        await store.set_connection_status(name, [ConnectionStatus.ACTIVE], status, reason)


class ConnectionSearchContract:
    """The promises, one test each."""

    async def test_health_is_what_the_decision_says(self, store: Any) -> None:
        """Each connection is found under the health that `health_of` gives it, and under no other."""
        await _fill(store)
        found = 0
        for health in ConnectionHealth:
            wanted = ConnectionFilter(health=health)
            some = await store.find_connections(wanted, after=None, limit=1000, now=NOW)
            assert {health_of(each, NOW) for each in some} <= {health}
            assert (await store.count_connections(wanted, now=NOW)).get(health, 0) == len(some) > 0
            found += len(some)
        assert found == len(_STATES) * len(_DAYS_LEFT) * len(_HOURS_AGO)

    async def test_connections_are_counted_by_bank(self, store: Any) -> None:
        """Of each bank as many have each health as the count for it alone says; a bank without any is not there."""
        assert await store.count_connections_by_bank(now=NOW) == {}
        await _fill(store, every=4)
        counted = await store.count_connections_by_bank(now=NOW)
        assert set(counted) == {"bank-0", "bank-1"}
        for bank, healths in counted.items():
            wanted = ConnectionFilter(bank=bank)
            assert dict(healths) == dict(await store.count_connections(wanted, now=NOW))

    @pytest.mark.parametrize(
        "wanted", [ConnectionFilter(), ConnectionFilter(org_id="org-1"), ConnectionFilter(bank="bank-1")]
    )
    async def test_pages_have_each_connection_once(self, store: Any, wanted: ConnectionFilter) -> None:
        """Page after page each connection that is meant comes once, by organisation and id, and none other."""
        await _fill(store, every=4)
        seen: list[tuple[str, str]] = []
        while True:
            after = seen[-1] if seen else None
            page = await store.find_connections(wanted, after=after, limit=7, now=NOW)
            seen += [(each.org_id, each.id) for each in page]
            if len(page) < 7:
                break
        assert seen == sorted(set(seen))
        assert len(seen) == sum((await store.count_connections(wanted, now=NOW)).values())
        assert wanted.org_id in (None, *{org_id for org_id, _ in seen})

    async def test_nobodys_credentials_are_read(self, store: Any) -> None:
        """A list for operators carries no credentials."""
        await store.add_connection(org_id="org", bank="bank", id="c", credentials={"token": "secret"})
        [found] = await store.find_connections(ConnectionFilter(), after=None, limit=1, now=NOW)
        assert found.credentials is None
