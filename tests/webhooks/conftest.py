"""A store of each kind, a receiver, a clock that is moved by hand, and what delivers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
import standardwebhooks.webhooks

from bankimport.models import AttemptEnded, BankAccount, OutgoingWebhook, WebhookEndpoint, WebhookSecrets
from bankimport.settings import Settings
from bankimport.stores import SqlStore, upgrade_async
from bankimport.testing.contracts.store import inserts
from bankimport.webhooks import Deliverer, new_secret
from tests.stores.databases import postgres_server, postgres_url, url
from tests.webhooks.receiver import Receiver, receiving

__all__ = ["postgres_server", "postgres_url", "url"]


@dataclass
class Scene:
    """A store in which things happen, whoever delivers them, and the instant it is."""

    store: SqlStore
    settings: Settings
    #: a little later than the database's writers have it, so that what they have written is due
    now: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(minutes=1))
    disabled: list[AttemptEnded] = field(default_factory=list)
    rows: int = 0

    def deliverer(self) -> Deliverer:
        """Return what delivers, as a worker has it."""

        async def told(outgoing: OutgoingWebhook, ended: AttemptEnded) -> None:
            self.disabled.append(ended)

        return Deliverer(self.store, self.settings, lambda: self.now, told)

    async def endpoint(self, receiver: Receiver, **fields: object) -> WebhookEndpoint:
        """Add an endpoint of the receiver's."""
        secret = new_secret()
        receiver.secrets.append(secret)
        known = {"id": f"hook-{len(receiver.secrets)}", "url": receiver.url, "created_at": self.now, **fields}
        endpoint = WebhookEndpoint.model_validate(known)
        await self.store.add_webhook_endpoint(endpoint, WebhookSecrets(secret))
        return endpoint

    async def account(self, connection_id: str, org_id: str = "acme") -> BankAccount:
        """Add a connection with an account."""
        await self.store.add_connection(org_id=org_id, bank="sandbox", id=connection_id)
        connection = await self.store.connection(connection_id)
        assert connection is not None
        [account] = await self.store.upsert_accounts(connection, [BankAccount("r1", "k1", "EUR")], fence=1)
        return account

    async def imported(self, account: BankAccount) -> str:
        """Write a new row, and return its id."""
        state = await self.store.account_state(account)
        self.rows = number = self.rows + 1
        assert await self.store.apply(account, state.version, inserts(number), None, None, 1)
        return f"row-{number}"

    async def later(self, deliverer: Deliverer, wait: timedelta) -> None:
        """Let time go by, and what is due by then be sent, until nothing is."""
        self.now += wait
        while await deliverer.look():
            await deliverer.drain()


@pytest.fixture
async def scene(url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """A store of each kind; the receivers' library has the scene's clock."""
    await upgrade_async(url)
    store = SqlStore(url, environment="development")
    scene = Scene(store, settings)

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Then":
            return cls.fromtimestamp(scene.now.timestamp(), tz)

    monkeypatch.setattr(standardwebhooks.webhooks, "datetime", Then)
    yield scene
    await store.aclose()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A service that takes everything at once."""
    async with receiving() as receiver:
        yield receiver
