"""Each trouble at each API, through the real job: who is marked, whether it is tried again, and what is said and logged."""

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from bankimport.commands import SyncConnection
from bankimport.errors import JobError
from bankimport.jobs import sync_connection
from bankimport.models import BankConnection
from bankimport.retry import is_retryable
from bankimport.sandbox import BankClock, Kind, create_app, person_of
from bankimport.status import ConnectionStatus
from bankimport.testing import FakeRun, ManualClock, MemoryLedger, MemoryStore
from bankimport.testing.contracts import Trouble
from tests.contracts.conftest import Serve
from tests.contracts.sandboxed import ALL, NOW, TROUBLES, misbehave

ACTIVE, REAUTH = ConnectionStatus.ACTIVE, ConnectionStatus.REQUIRES_REAUTH
#: trouble at every account, for as long as it stands -> the connection afterwards, whether a retry may help
MEANS: dict[Trouble, tuple[ConnectionStatus, bool | None]] = {
    Trouble.UNAVAILABLE: (ACTIVE, True),
    Trouble.CUT: (ACTIVE, True),
    Trouble.RATE_LIMITED: (ACTIVE, None),  # waited for or put off: each API says how long, or nothing
    Trouble.CONSENT_EXPIRED: (REAUTH, False),
    Trouble.CONSENT_REVOKED: (REAUTH, False),
    Trouble.OUR_CREDENTIALS: (ACTIVE, False),
}


class Life:
    """One connection at one API."""

    def __init__(self, name: str, url: str) -> None:
        self.url = url
        self.clock, self.store, self.ledger = ManualClock(NOW), MemoryStore(), MemoryLedger()
        self.provider = ALL[name](url, clock=self.clock)
        self.store.add(BankConnection("c", "acme", "bank", consent_id="consent-1"))
        self.run = FakeRun()

    async def sync(self) -> Any:
        """Run the job, and return its result or what it raised."""
        self.run = FakeRun(fence=self.run.fence + 1)
        command = SyncConnection(connection_id="c", org_id="acme")
        try:
            return await sync_connection(
                command, self.run, banks={"bank": self.provider}, store=self.store, ledger=self.ledger, clock=self.clock
            )
        except JobError as error:
            return error

    async def status(self) -> ConnectionStatus:
        """Return how the connection stands."""
        connection = await self.store.connection("c")
        assert connection is not None
        return connection.status


@pytest.fixture(params=ALL)
async def life(request: pytest.FixtureRequest, serve: Serve) -> AsyncIterator[Life]:
    """A connection at each API."""
    life = Life(request.param, await serve(create_app(clock=BankClock(NOW), page_size=500)))
    yield life
    await life.provider.aclose()


@pytest.mark.parametrize("trouble", MEANS, ids=lambda trouble: trouble.value)
async def test_a_trouble_marks_whom_it_concerns(life: Life, trouble: Trouble, caplog: pytest.LogCaptureFixture) -> None:
    """The person is asked only for what the person can mend; a good answer afterwards is imported."""
    caplog.set_level(logging.DEBUG, "bankimport")
    endpoint = {} if trouble in (Trouble.CONSENT_EXPIRED, Trouble.CONSENT_REVOKED) else {"endpoint": "transactions"}
    await misbehave(life.url, TROUBLES[trouble], **endpoint)
    ended = await life.sync()
    status, may_help = MEANS[trouble]
    assert await life.status() is status
    reauth = [event for event in life.run.events if type(event).__name__ == "ReauthRequiredEvent"]
    assert bool(reauth) is (status is REAUTH)
    if may_help is not None:
        assert isinstance(ended, JobError)
        assert is_retryable(ended) is may_help
    said = f"{ended} {[event.model_dump() for event in life.run.events]} {caplog.text}"
    person = person_of("consent-1")
    secrets = ["consent-1", person.name, *(account.iban for account in person.accounts), "PRIVATE KEY", "secret"]
    assert [secret for secret in secrets if secret in said] == []


async def test_one_account_that_is_gone_costs_no_other(life: Life) -> None:
    """The result says which, and the connection goes on."""
    await misbehave(life.url, Kind.ACCOUNT_GONE, endpoint="transactions", account=1)
    result = await life.sync()
    assert (result.accounts_synced, result.partial) == (2, True)
    assert await life.status() is ACTIVE


async def test_a_shorter_period_is_asked_for(life: Life) -> None:
    """Days that the bank refuses shorten the read, and nobody is marked."""
    await misbehave(life.url, Kind.PERIOD_INVALID, endpoint="transactions", times=2)
    result = await life.sync()
    assert result.success
    assert await life.status() is ACTIVE


async def test_a_refused_token_is_confirmed_before_anybody_is_marked(life: Life) -> None:
    """A 401 that could mean anything, while the consent says that it is valid."""
    await misbehave(life.url, Kind.BARE_401, endpoint="transactions")
    ended = await life.sync()
    assert isinstance(ended, JobError)
    assert await life.status() is ACTIVE


async def test_a_limit_of_hours_puts_the_read_off(life: Life) -> None:
    """It is no failure: the result says until when."""
    await misbehave(life.url, Kind.RATE_LIMIT, endpoint="transactions", retry_after=4 * 3600)
    result = await life.sync()
    assert {deferred.until for deferred in result.deferred} == {NOW + timedelta(hours=4)}
    assert await life.status() is ACTIVE


async def test_a_limit_of_years_puts_the_read_off_by_a_day(life: Life) -> None:
    """A bank that writes an instant wrongly is asked again tomorrow."""
    await misbehave(life.url, Kind.RATE_LIMIT, endpoint="transactions", retry_after=999_999_999)
    result = await life.sync()
    assert {deferred.until for deferred in result.deferred} == {NOW + timedelta(hours=24)}
