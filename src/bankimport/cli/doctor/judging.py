"""What the facts of a set-up mean: pure, one rule a check."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal

from bankimport.cli.doctor.sentinel import SentinelFacts
from bankimport.settings import Settings

State = Literal["ok", "warn", "bad"]
#: bytes of a finished job, and of a connection's events of a day and its ledger of reads: benchmarks/README.md
_BYTES_A_JOB, _BYTES_A_CONNECTION = 640, 4700
_SYNCS_A_DAY: Final = 6
_OLDEST: Final = (6, 2)
_SKEW: Final = timedelta(seconds=2)
_SOON: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its name, how it stands, what was seen, what to do."""

    check: str
    state: State
    says: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class BankFacts:
    """What was seen of a bank: an error's words, or none; how long our certificate is valid."""

    trouble: str | None = None
    certificate: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was seen. None: it could not be looked at."""

    settings: Settings | None
    settings_error: str | None = None
    #: variables nobody reads, and the nearest that is read
    unknown: Mapping[str, str | None] = field(default_factory=dict)
    redis_error: str | None = None
    version: tuple[int, int] | None = None
    is_cluster: bool = False
    #: what it is that REDIS_HOST names, where no Sentinel is asked
    is_replica: bool = False
    sentinels: Sequence[SentinelFacts] = ()
    policy: str | None = None
    persistent: bool | None = None
    #: a command that our user may not give
    forbidden: str | None = None
    maxmemory: int = 0
    skew: timedelta = timedelta(0)
    workers: int | None = None
    database_error: str | None = None
    schema_error: str | None = None
    connections: int | None = None
    organisations: int | None = None
    #: connections that the database lets us open, and that a process opens at most
    room: int | None = None
    pool: int = 1
    #: credentials that no key of ours decrypts, of some that were tried
    unreadable: int = 0
    #: webhook endpoints whose secret no key of ours decrypts, and those that a worker has disabled
    lost_webhooks: Sequence[str] = ()
    silenced_webhooks: Sequence[str] = ()
    banks: Mapping[str, BankFacts] = field(default_factory=dict)


def findings(facts: Facts) -> list[Finding]:
    """Return what each check found; where something is away, what stands on it is left out."""
    if facts.settings is None:
        says = facts.settings_error or "they can't be read"
        return [Finding("settings", "bad", says, "docs/reference/settings.md has each variable with its range")]
    settings = facts.settings
    found = [Finding("settings", "ok", "read"), *_typos(facts), *_sentinels(facts, settings), *_redis(facts)]
    found += [*_database(facts, settings), *_pool(facts, settings), *_secrets(facts, settings)]
    return [*found, *_load(facts, settings), *_banks(facts)]


def _typos(facts: Facts) -> Iterator[Finding]:
    for name, nearest in facts.unknown.items():
        mend = f"is {nearest} meant?" if nearest else "take it away"
        yield Finding("settings-typo", "bad", f"nobody reads {name}", mend)


def _sentinels(facts: Facts, settings: Settings) -> Iterator[Finding]:
    """Whether a failover would work: each Sentinel is there, they know the primary, agree, and have a replica."""
    if not facts.sentinels:
        return
    name = settings.redis_sentinel_master
    there = [each for each in facts.sentinels if each.trouble is None]
    for each in facts.sentinels:
        if each.trouble is not None:
            state: State = "warn" if there else "bad"
            mend = "start it, or take it out of REDIS_SENTINELS"
            yield Finding("sentinel", state, f"{each.place} {each.trouble}", mend)
        elif not each.is_known:
            says = f"{each.place} knows no primary called {name}"
            yield Finding("sentinel", "bad", says, "set REDIS_SENTINEL_MASTER to the name in sentinel.conf")
        elif each.no_quorum is not None:
            says = f"{each.place} could not replace the primary: {each.no_quorum}"
            yield Finding("sentinel", "bad", says, "start the other Sentinels, or lower the quorum of sentinel.conf")
        elif each.replicas == 0:
            says = f"{each.place} knows no replica of {name} that could take over"
            yield Finding("sentinel", "warn", says, "start a replica")
        else:
            yield Finding("sentinel", "ok", f"{each.place} knows {name} and {each.replicas} to replace it")


def _redis(facts: Facts) -> Iterator[Finding]:
    if facts.redis_error is not None:
        yield Finding("redis", "bad", facts.redis_error, "start it, or set REDIS_HOST or REDIS_URL")
        return
    yield Finding("redis", "ok", "answers")
    if facts.version is not None and facts.version < _OLDEST:
        yield Finding(
            "redis-version", "bad", f"{facts.version[0]}.{facts.version[1]}", "Redis 6.2 or Valkey 7.2 is needed"
        )
    if facts.is_replica:
        mend = "name the primary in REDIS_HOST or REDIS_URL, or set REDIS_SENTINELS"
        yield Finding("redis-replica", "bad", "it is a replica, which takes no writes", mend)
    if facts.is_cluster:
        yield Finding("redis-cluster", "bad", "it is a Cluster, which arq can't use", "use one primary, with Sentinel")
    if facts.forbidden is not None:
        mend = "give the user of REDIS_USERNAME the rights of docs/how-to/redis-for-production.md"
        yield Finding("redis-acl", "bad", f"our user may not {facts.forbidden}", mend)
    if facts.policy not in (None, "noeviction"):
        says = f"maxmemory-policy is {facts.policy}: Redis drops jobs when it is full"
        yield Finding("redis-policy", "bad", says, "CONFIG SET maxmemory-policy noeviction")
    if facts.persistent is False:
        says = "nothing is persisted: queued jobs and the budget's ledger are lost when it restarts"
        yield Finding("redis-persistence", "warn", says, "CONFIG SET appendonly yes")
    if abs(facts.skew) > _SKEW:
        says = f"this machine's clock and Redis's differ by {facts.skew.total_seconds():+.1f} s"
        yield Finding("clock", "bad", says, "run a time service such as chrony on both")
    if facts.workers == 0:
        yield Finding("workers", "bad", "no worker is alive", "start one: arq bankimport.WorkerSettings")


def _database(facts: Facts, settings: Settings) -> Iterator[Finding]:
    if facts.database_error is not None:
        mend = "start it, or set BANK_SYNC_DATABASE_URL"
        yield Finding("database", "bad", facts.database_error, mend)
    elif facts.schema_error is not None:
        yield Finding("schema", "bad", facts.schema_error, "bankimport db upgrade")
    else:
        yield Finding("database", "ok", "answers, with this version's schema")


def _pool(facts: Facts, settings: Settings) -> Iterator[Finding]:
    """Whether jobs wait for a connection of their own pool, and whether all pools together fit into the database."""
    if facts.room is None:
        return
    if settings.concurrency > facts.pool:
        says = f"{settings.concurrency} jobs of a worker share {facts.pool} connections to the database"
        yield Finding(
            "pool", "warn", says, f"set BANK_SYNC_CONCURRENCY to {facts.pool} at most, and start more workers"
        )
    workers = max(facts.workers or 0, 1)
    needed = workers * min(settings.concurrency, facts.pool)
    if needed > facts.room:
        says = f"{workers} workers may open {needed} connections, and the database allows {facts.room}"
        mend = "raise max_connections or the user's limit, lower BANK_SYNC_CONCURRENCY, or pool with PgBouncer"
        yield Finding("pool", "bad", says, mend)
    else:
        yield Finding("pool", "ok", f"{needed} of {facts.room} connections are needed")


def _secrets(facts: Facts, settings: Settings) -> Iterator[Finding]:
    behind = "put the key that they were encrypted with behind the first one of BANK_SYNC_CREDENTIALS_KEY"
    if settings.credentials_key is None and settings.environment == "production":
        says = "credentials of connections can't be stored"
        yield Finding("credentials-key", "bad", says, "set BANK_SYNC_CREDENTIALS_KEY to a Fernet key")
    elif facts.unreadable:
        yield Finding("credentials-key", "bad", "stored credentials can't be decrypted with it", behind)
    for name in facts.lost_webhooks:
        says = f"the secret of {name} can't be decrypted: it is told nothing"
        yield Finding("webhook-secret", "bad", says, f"{behind}, or: bankimport webhooks rotate {name}")
    for name in facts.silenced_webhooks:
        says = f"{name} was disabled, since it took nothing"
        yield Finding("webhook", "warn", says, f"ask who runs it, then: bankimport webhooks enable {name}")


def _load(facts: Facts, settings: Settings) -> Iterator[Finding]:
    """Whether a tick's syncs start before the next tick, and whether what is kept fits."""
    connections = facts.connections or 0
    interval = timedelta(days=1) / _SYNCS_A_DAY
    rate = settings.rate_limit_max / settings.rate_limit_duration.total_seconds()
    if connections / rate > interval.total_seconds():
        says = f"{connections} connections at {rate:g} starts a second need longer than the {interval} between ticks"
        yield Finding("limiter", "bad", says, "raise BANK_SYNC_RATE_LIMIT_MAX, if the banks allow it")
    jobs = _SYNCS_A_DAY * (settings.keep_completed / timedelta(days=1))
    needed = int(connections * (jobs * _BYTES_A_JOB + _BYTES_A_CONNECTION))
    if facts.maxmemory and needed > facts.maxmemory * 0.8:
        says = f"{connections} connections need about {needed // 2**20} MiB, of {facts.maxmemory // 2**20} MiB"
        yield Finding("redis-memory", "bad", says, "raise maxmemory, or lower BANK_SYNC_KEEP_COMPLETED_DAYS")


def _banks(facts: Facts) -> Iterator[Finding]:
    if not facts.banks:
        yield Finding("banks", "warn", "BANK_SYNC_BANKS names none", "set it, unless your code gives the providers")
    for name, bank in facts.banks.items():
        if bank.certificate is not None and bank.certificate < _SOON:
            ended = bank.certificate < timedelta(0)
            says = f"{name}: our certificate {'has ended' if ended else f'ends in {bank.certificate.days} days'}"
            yield Finding("certificate", "bad" if ended else "warn", says, "renew client_cert and client_key")
        if bank.trouble is not None:
            yield Finding(
                "bank", "bad", f"{name}: {bank.trouble}", "check its entry in BANK_SYNC_BANKS and the network"
            )
        elif bank.certificate is None or bank.certificate >= _SOON:
            yield Finding("bank", "ok", f"{name}: reachable")
