"""What a host meets in Python: connections, start-up that says what is wrong, mistakes that are errors at once."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import event
from structlog.testing import capture_logs

from bankimport import (
    BankImport,
    Conflict,
    ConnectionStatus,
    InvalidRequest,
    InvalidSettings,
    NotFound,
    NotOffered,
    NotStarted,
    SchemaOutdated,
    Settings,
    StartFailed,
)
from bankimport.app.starting import name_unknown_variables
from bankimport.ports import KeepCredentials
from bankimport.stores import SqlStore
from bankimport.testing import FakeBank, MemoryStore
from tests.migrated import upgraded
from tests.processes import free_port

TODAY = datetime.now(UTC).date()
NEXT_YEAR = TODAY + timedelta(days=365)


class RotatingBank(FakeBank):
    """A bank that hands out new credentials."""

    keep: KeepCredentials

    def keep_credentials_with(self, keep: KeepCredentials) -> None:
        """Remember what keeps them."""
        self.keep = keep


async def _store(kind: str, path: Path) -> Any:
    if kind == "memory":
        return MemoryStore()
    url = f"sqlite+aiosqlite:///{path}/bank.db"
    await upgraded(url)
    return SqlStore(url, credentials_key=Fernet.generate_key().decode())


@pytest.fixture(params=["sql", "memory"])
async def bank_import(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> AsyncIterator[BankImport]:
    """A host's object over either store, with a bank that rotates credentials."""
    store = await _store(request.param, tmp_path)
    async with BankImport(settings, banks={"bank": RotatingBank()}, store=store) as serving:
        yield serving


async def test_a_connection_from_its_beginning_to_its_end(bank_import: BankImport) -> None:
    """A connection is added, found by its organisation alone, renewed, cut and deleted."""
    connections = bank_import.connections
    made = await connections.add(org_id="acme", bank="bank", consent_id="c-1", valid_until=NEXT_YEAR, id="giro")
    other = await connections.add(org_id="globex", bank="bank")
    assert (made, other.startswith("conn_")) == ("giro", True)
    with pytest.raises(Conflict):
        await connections.add(org_id="acme", bank="bank", id="giro")
    assert [each.id for each in await connections.list("acme")] == ["giro"]
    assert await connections.get("giro", org_id="globex") is None
    for call in (connections.disconnect, connections.delete):
        with pytest.raises(NotFound):
            await call("giro", org_id="globex")
    await connections.disconnect("giro")
    await connections.set_consent("giro", consent_id="c-2", valid_until=NEXT_YEAR, credentials={"token": "t-1"})
    found = await connections.get("giro", org_id="acme")
    assert found is not None
    assert (found.status, found.consent_id, found.credentials) == (ConnectionStatus.ACTIVE, "c-2", {"token": "t-1"})
    assert list(await connections.accounts("giro")) == []
    await connections.delete("giro", org_id="acme")
    assert await connections.get("giro") is None
    for gone in (
        connections.disconnect("giro"),
        connections.delete("giro"),
        connections.set_consent("giro", consent_id="c"),
    ):
        with pytest.raises(NotFound):
            await gone


async def test_wrong_connections(bank_import: BankImport) -> None:
    """A bank that isn't there and a consent that has ended are said to be wrong before anything is written."""
    with pytest.raises(InvalidRequest, match="/bank"):
        await bank_import.connections.add(org_id="acme", bank="nix")
    with pytest.raises(InvalidRequest, match="/validUntil"):
        await bank_import.connections.add(org_id="acme", bank="bank", valid_until=TODAY - timedelta(days=1))
    with pytest.raises(InvalidRequest, match="/validUntil"):
        await bank_import.connections.set_consent("x", consent_id="c", valid_until=TODAY - timedelta(days=1))
    assert list(await bank_import.connections.list("acme")) == []


async def test_a_bank_hands_out_new_credentials(bank_import: BankImport) -> None:
    """What a provider was handed anew is kept, and is what the next run is given."""
    await bank_import.connections.add(org_id="acme", bank="bank", credentials={"refresh": "1"}, id="giro")
    bank = bank_import.banks["bank"]
    assert isinstance(bank, RotatingBank)
    await bank.keep("giro", {"refresh": "2"})
    found = await bank_import.connections.get("giro")
    assert found is not None
    assert found.credentials == {"refresh": "2"}
    with pytest.raises(NotFound):
        await bank.keep("nix", {"refresh": "3"})


async def test_ten_thousand_connections_are_one_query(settings: Settings, tmp_path: Path) -> None:
    """Whether the connections named are the organisation's is one question. Red before: ten thousand."""
    store = await _store("sql", tmp_path)
    asked: list[str] = []
    event.listen(store._reader.sync_engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    async with BankImport(settings, banks={"bank": FakeBank()}, store=store) as bank_import:
        await bank_import.connections.add(org_id="acme", bank="bank", id="giro")
        await bank_import.connections.add(org_id="globex", bank="bank", id="theirs")
        asked.clear()
        with pytest.raises(NotFound):
            await bank_import.schedule_org_sync("acme", connection_ids=[f"c{number}" for number in range(10_000)])
        with pytest.raises(NotFound):
            await bank_import.schedule_org_sync("acme", connection_ids=["giro", "theirs"])
        assert await bank_import.schedule_org_sync("acme", connection_ids=["giro"])
    assert len([text for text in asked if "FROM bank_connections" in text]) == 3


class OwnStore:
    """A host's own store, which leaves connections to its own code."""

    def __init__(self) -> None:
        self._memory = MemoryStore()

    def __getattr__(self, name: str) -> Any:
        offered = ("connection", "connections", "aclose", "syncable_organisations", "consents_ending")
        if name not in offered:
            raise AttributeError(name)
        return getattr(self._memory, name)


async def test_a_store_that_offers_no_connections(settings: Settings) -> None:
    """A host's store that leaves connections to the host says so by name, and the others' are found all the same."""
    async with BankImport(settings, banks={"bank": FakeBank()}, store=OwnStore()) as bank_import:  # type: ignore[arg-type]  # that is the test
        with pytest.raises(NotOffered, match="OwnStore"):
            await bank_import.connections.add(org_id="acme", bank="bank")
        assert list(await bank_import.connections.list("acme")) == []
        with pytest.raises(NotFound):
            await bank_import.schedule_org_sync("acme", connection_ids=["giro"])


async def test_used_before_it_was_started(settings: Settings) -> None:
    """Outside of `async with` a call says how it is used. Red before: it worked until nobody closed it."""
    bank_import = BankImport(settings, banks={}, store=MemoryStore())
    with pytest.raises(NotStarted, match="before it was started"):
        await bank_import.get_queue_stats()
    with pytest.raises(NotStarted, match="async with"):
        await bank_import.connections.list("acme")
    async with bank_import:
        await bank_import.get_queue_stats()
    with pytest.raises(NotStarted, match="after it was closed"):
        await bank_import.schedule_immediate_sync("giro")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"redis_port": free_port()}, "is not available: is it running, and is REDIS_HOST"),
        ({"redis_password": "wr0ng-s3cret"}, "REDIS_USERNAME or REDIS_PASSWORD is wrong"),
    ],
    ids=["away", "password"],
)
async def test_redis_at_the_start(redis_url: str, changed: Mapping[str, Any], said: str) -> None:
    """Start-up checks Redis and says how to mend it, without the password. Red before: it started."""
    host, _, rest = redis_url.removeprefix("redis://").partition(":")
    settings = Settings.load(**{"redis_host": host, "redis_port": int(rest.partition("/")[0]), **changed})
    with pytest.raises(StartFailed) as raised:
        async with BankImport(settings, banks={}, store=MemoryStore()):
            pass
    assert said in str(raised.value)
    assert "s3cret" not in str(raised.value)


async def test_the_schema_at_the_start(settings: Settings, tmp_path: Path) -> None:
    """Start-up checks the schema, in a host as in a worker. Red before: a host's first request was a 500."""
    store = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/empty.db")
    with pytest.raises(SchemaOutdated, match="bankimport db upgrade"):
        async with BankImport(settings, banks={}, store=store):
            pass


def test_mistyped_variables_are_named() -> None:
    """A BANK_SYNC_… variable that nobody reads is named in the log with the one that may be meant; what Kubernetes sets
    for a service is left alone."""
    with capture_logs() as logs:
        name_unknown_variables(
            {"BANK_SYNC_CONCURENCY": "5", "BANK_SYNC_BANKS": "{}", "BANK_SYNC_SERVICE_HOST": "10.0.0.1", "PATH": "/"}
        )
    [line] = logs
    assert (line["variable"], line["nearest"]) == ("BANK_SYNC_CONCURENCY", "BANK_SYNC_CONCURRENCY")


def test_a_setting_that_is_none() -> None:
    """A name that no setting has is an error with the nearest one. Red before: it was ignored."""
    with pytest.raises(InvalidSettings, match="did you mean redis_host"):
        Settings.load(redis_hots="localhost")


def test_handlers_that_can_never_be_called(settings: Settings) -> None:
    """An event that doesn't exist and a handler that is none are errors at once. Red before: silence for ever."""
    bank_import = BankImport(settings, banks={}, store=MemoryStore())
    with pytest.raises(ValueError, match=r"did you mean 'bank\.sync\.completed'"):
        bank_import.on("bank.sync.complete", print)
    with pytest.raises(TypeError, match="must be a function"):
        bank_import.on("bank.sync.*", None)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(TypeError, match="async function"):
        bank_import.web_app(authorize=None)  # type: ignore[arg-type]  # that is the test
    bank_import.on("*", print)
