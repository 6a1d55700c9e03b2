"""A store of each kind, a receiver, a clock that is moved by hand, and what delivers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
import standardwebhooks.webhooks

from bankimport.models import AttemptEnded, BankAccount, OutgoingWebhook, WebhookEndpoint, WebhookSecrets
from bankimport.settings import Settings
from bankimport.stores import SqlStore
from bankimport.testing.contracts.store import inserts
from bankimport.webhooks import Deliverer, new_secret
from tests.migrated import upgraded
from tests.stores.databases import url
from tests.webhooks.receiver import Receiver, receiving

#: no time goes by
NONE = timedelta(0)

__all__ = ["url"]


@dataclass
class Scene:
    """A store in which things happen, whoever delivers them, and the instant it is."""

    store: SqlStore
    settings: Settings
    #: a little later than the database's writers have it, so that what they have written is due
    now: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(minutes=1))
    disabled: list[AttemptEnded] = field(default_factory=list)
    rows: int = 0
    deliverers: list[Deliverer] = field(default_factory=list)

    def deliverer(self) -> Deliverer:
        """Return another that delivers, as a worker has it; it is closed with the scene."""

        async def told(outgoing: OutgoingWebhook, ended: AttemptEnded) -> None:
            self.disabled.append(ended)

        self.deliverers.append(Deliverer(self.store, self.settings, lambda: self.now, told))
        return self.deliverers[-1]

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

    async def told(self, receiver: Receiver) -> BankAccount:
        """Let the receiver be told of everything; return the account of a connection `giro`."""
        await self.endpoint(receiver)
        return await self.account("giro")

    async def later(self, wait: timedelta, deliverer: Deliverer | None = None) -> None:
        """Let time go by, and what is due by then be sent, until nothing is: by the first worker, or another."""
        self.now += wait
        deliverer = deliverer or (self.deliverers or [self.deliverer()])[0]
        while await deliverer.look():
            await deliverer.drain()


@pytest.fixture
async def scene(url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """A store of each kind; the receivers' library has the scene's clock."""
    await upgraded(url)
    store = SqlStore(url, environment="development")
    scene = Scene(store, settings)

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Then":
            return cls.fromtimestamp(scene.now.timestamp(), tz)

    monkeypatch.setattr(standardwebhooks.webhooks, "datetime", Then)
    yield scene
    for each in scene.deliverers:
        await each.aclose()
    await store.aclose()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A service that takes everything at once."""
    async with receiving() as receiver:
        yield receiver
