"""The environment, read once and checked; a wrong value stops start-up with its name."""

from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bankimport.errors import InvalidSettings
from bankimport.return_paths import is_listable


def _duration(**unit: float) -> Any:
    """Return a validator that reads a whole number of the unit; a timedelta passes as it is."""
    size = timedelta(**unit)

    def read(value: object) -> object:
        if isinstance(value, timedelta):
            return value
        try:
            return int(str(value)) * size
        except ValueError:
            raise ValueError("a whole number is needed") from None

    return BeforeValidator(read)


Milliseconds = Annotated[timedelta, _duration(milliseconds=1)]
Hours = Annotated[timedelta, _duration(hours=1)]
Days = Annotated[timedelta, _duration(days=1)]


def _zone(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError("no such time zone; an IANA name such as Europe/Berlin is needed") from None


def _ms(default: int, low: int, high: int, name: str, text: str) -> Any:
    return Field(
        default=timedelta(milliseconds=default),
        ge=timedelta(milliseconds=low),
        le=timedelta(milliseconds=high),
        validation_alias=name,
        description=text,
    )


class Settings(BaseSettings):
    """Everything that can be set, by its environment variable or by field name."""

    model_config = SettingsConfigDict(populate_by_name=True, frozen=True, extra="ignore", arbitrary_types_allowed=True)

    redis_host: str = Field(default="localhost", validation_alias="REDIS_HOST", description="host of Redis or Valkey")
    redis_port: int = Field(default=6379, ge=1, le=65535, validation_alias="REDIS_PORT", description="its port")
    redis_username: str | None = Field(default=None, validation_alias="REDIS_USERNAME", description="ACL user")
    redis_password: SecretStr | None = Field(default=None, validation_alias="REDIS_PASSWORD", description="password")
    redis_db: int = Field(default=0, ge=0, le=100_000, validation_alias="REDIS_DB", description="database number")
    redis_ssl: bool = Field(default=False, validation_alias="REDIS_SSL", description="TLS, with the host name checked")
    redis_ssl_ca_certs: str | None = Field(
        default=None, validation_alias="REDIS_SSL_CA_CERTS", description="path of a CA file"
    )
    redis_sentinels: Annotated[tuple[tuple[str, int], ...], NoDecode] = Field(
        default=(),
        validation_alias="REDIS_SENTINELS",
        description="host:port, comma-separated; Sentinel finds the primary",
    )
    redis_sentinel_master: str = Field(
        default="mymaster", validation_alias="REDIS_SENTINEL_MASTER", description="its name"
    )
    redis_max_connections: int = Field(
        default=100, ge=4, le=10_000, validation_alias="REDIS_MAX_CONNECTIONS", description="connections of one process"
    )
    redis_url: SecretStr | None = Field(
        default=None,
        validation_alias="REDIS_URL",
        description="redis:// or rediss:// instead of host, port, user, password, database",
    )

    enabled: bool = Field(
        default=True,
        validation_alias="BANK_SYNC_ENABLED",
        description="false stops the schedules only; manual jobs still run",
    )
    stagger_delay: Milliseconds = _ms(
        30_000, 0, 3_600_000, "BANK_SYNC_STAGGER_DELAY_MS", "between two organisations of one tick"
    )
    timezone: Annotated[ZoneInfo, BeforeValidator(_zone)] = Field(
        default=ZoneInfo("Europe/Berlin"),
        validation_alias="BANK_SYNC_TIMEZONE",
        description="of the schedules; an IANA name",
    )
    rate_limit_max: int = Field(
        default=10,
        ge=1,
        le=1_000_000,
        validation_alias="BANK_SYNC_RATE_LIMIT_MAX",
        description="starts, over all workers, in",
    )
    rate_limit_duration: Milliseconds = _ms(
        1000, 1, 86_400_000, "BANK_SYNC_RATE_LIMIT_DURATION_MS", "any window of this length"
    )
    concurrency: int = Field(
        default=10, ge=1, le=1000, validation_alias="BANK_SYNC_CONCURRENCY", description="jobs of one worker at a time"
    )
    org_concurrency: int = Field(
        default=3,
        ge=1,
        le=1000,
        validation_alias="BANK_SYNC_ORG_CONCURRENCY",
        description="scheduled jobs of one organisation",
    )
    org_max_pending: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        validation_alias="BANK_SYNC_ORG_MAX_PENDING",
        description="unfinished jobs before 429",
    )
    org_requests_per_minute: int = Field(
        default=120,
        ge=1,
        le=1_000_000,
        validation_alias="BANK_SYNC_ORG_REQUESTS_PER_MINUTE",
        description="POSTs of one organisation to one host process before 429",
    )
    job_timeout: Milliseconds = _ms(300_000, 100, 86_400_000, "BANK_SYNC_JOB_TIMEOUT_MS", "the longest run of a job")
    lease: Milliseconds = _ms(15_000, 500, 600_000, "BANK_SYNC_LEASE_MS", "after which a dead worker's job waits again")
    keep_completed: Days = Field(
        default=timedelta(days=7),
        ge=timedelta(days=0),
        le=timedelta(days=3650),
        validation_alias="BANK_SYNC_KEEP_COMPLETED_DAYS",
        description="records of completed jobs",
    )
    keep_failed: Days = Field(
        default=timedelta(days=30),
        ge=timedelta(days=0),
        le=timedelta(days=3650),
        validation_alias="BANK_SYNC_KEEP_FAILED_DAYS",
        description="records of failed jobs",
    )
    consent_warning: Days = Field(
        default=timedelta(days=7),
        ge=timedelta(days=1),
        le=timedelta(days=180),
        validation_alias="BANK_SYNC_CONSENT_WARNING_DAYS",
        description="before a consent ends its people are told",
    )
    alert_failed: int = Field(
        default=100,
        ge=0,
        validation_alias="BANK_SYNC_ALERT_FAILED",
        description="more failed within a day for what an operator can mend: an alert",
    )
    alert_waiting: int = Field(
        default=1000, ge=0, validation_alias="BANK_SYNC_ALERT_WAITING", description="more waiting: an alert"
    )
    alert_stalled: Milliseconds = _ms(
        300_000,
        1000,
        86_400_000,
        "BANK_SYNC_ALERT_STALLED_MS",
        "a runnable job waits longer and nothing starts: an alert",
    )
    events_keep: Hours = Field(
        default=timedelta(hours=24),
        ge=timedelta(hours=1),
        le=timedelta(days=30),
        validation_alias="BANK_SYNC_EVENTS_KEEP_HOURS",
        description="events in the stream",
    )
    events_max: int = Field(
        default=1_000_000, ge=1000, le=100_000_000, validation_alias="BANK_SYNC_EVENTS_MAX", description="at most"
    )
    webhook_timeout: Milliseconds = _ms(
        15_000, 100, 60_000, "BANK_SYNC_WEBHOOK_TIMEOUT_MS", "the longest request to a webhook's endpoint"
    )
    queue_name: str = Field(
        default="bank-import",
        pattern=r"^[A-Za-z0-9_.:-]{1,64}$",
        validation_alias="BANK_SYNC_QUEUE_NAME",
        description="arq's queue, and the prefix of our keys",
    )
    database_url: SecretStr = Field(
        default=SecretStr("sqlite+aiosqlite:///bankimport.db"),
        validation_alias="BANK_SYNC_DATABASE_URL",
        description="SQLAlchemy URL of the SQL store",
    )
    credentials_key: SecretStr | None = Field(
        default=None, validation_alias="BANK_SYNC_CREDENTIALS_KEY", description="Fernet key of stored credentials"
    )
    callback_url: str | None = Field(
        default=None,
        max_length=500,
        validation_alias="BANK_SYNC_CALLBACK_URL",
        description="address of our route `/callback`, as browsers see it: there banks send people back to",
    )
    return_to: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        validation_alias="BANK_SYNC_RETURN_TO",
        description="where people may be sent on to: addresses, paths or deep links, comma-separated",
    )
    environment: Literal["production", "development"] = Field(
        default="production",
        validation_alias="BANK_SYNC_ENVIRONMENT",
        description="in production credentials are refused without a key",
    )
    banks: dict[str, dict[str, Any]] = Field(
        default_factory=dict, validation_alias="BANK_SYNC_BANKS", repr=False, description="JSON: name to provider"
    )
    app: str | None = Field(
        default=None,
        pattern=r"^[\w.]+:[\w.]+$",
        validation_alias="BANK_SYNC_APP",
        description="package.module:name of the host's BankImport",
    )
    event_loop: Literal["auto", "asyncio", "uvloop"] = Field(
        default="auto",
        validation_alias="BANK_SYNC_EVENT_LOOP",
        description="of `arq bankimport.WorkerSettings`; auto: uvloop where it is installed",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", validation_alias="BANK_SYNC_LOG_LEVEL", description="of the worker and the command line"
    )
    log_format: Literal["console", "json"] = Field(
        default="console",
        validation_alias="BANK_SYNC_LOG_FORMAT",
        description="lines for a person, or a JSON object each",
    )
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        validation_alias="BANK_SYNC_METRICS_PORT",
        description="where a worker serves its numbers to Prometheus; 0: nowhere",
    )
    metrics_address: str = Field(
        default="127.0.0.1",
        validation_alias="BANK_SYNC_METRICS_ADDRESS",
        description="the address that port listens on",
    )
    retry_delay_scale: float = Field(
        default=1.0,
        gt=0,
        le=10,
        validation_alias="BANK_SYNC_RETRY_DELAY_SCALE",
        description="multiplies every wait between retries; for tests of whole processes",
    )

    @field_validator("redis_sentinels", mode="before")
    @classmethod
    def _sentinels(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [entry.strip().rpartition(":") for entry in value.split(",") if entry.strip()]
        if any(not host or not port.isdigit() for host, _, port in pairs):
            raise ValueError("host:port pairs, separated by commas, are needed")
        return tuple((host, int(port)) for host, _, port in pairs)

    @field_validator("callback_url")
    @classmethod
    def _callback(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if value is None or ((parts.scheme == "https" or is_here) and parts.hostname and not parts.query):
            return value.rstrip("/") if value else None
        raise ValueError("https:// with a host is needed, and no query")

    @field_validator("return_to", mode="before")
    @classmethod
    def _return_to(cls, value: object) -> object:
        listed = [each.strip() for each in value.split(",")] if isinstance(value, str) else value
        return tuple(each for each in listed if each) if isinstance(listed, list | tuple) else listed

    @field_validator("return_to")
    @classmethod
    def _listable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(is_listable(each) for each in value):
            raise ValueError("an address, a path or a deep link is needed, without a query: https://app.example/banks")
        return value

    @model_validator(mode="before")
    @classmethod
    def _url(cls, values: Any) -> Any:
        url = values.get("REDIS_URL") or values.get("redis_url") if isinstance(values, dict) else None
        if not url:
            return values
        text = url.get_secret_value() if isinstance(url, SecretStr) else str(url)
        parts = _redis_parts(text)
        aliases = {field.validation_alias: name for name, field in cls.model_fields.items()}
        kept = {key: value for key, value in values.items() if aliases.get(key, key) not in parts}
        return {**kept, **parts}

    @classmethod
    def load(cls, **values: Any) -> Self:
        """Return the settings of the environment, `values` before it.

        Raises:
            InvalidSettings: naming each wrong variable and what it allows, never its value; or a name that is none.
        """
        unknown = sorted(
            set(values) - set(cls.model_fields) - {str(f.validation_alias) for f in cls.model_fields.values()}
        )
        if unknown:
            nearest = get_close_matches(unknown[0], cls.model_fields, 1, 0)
            raise InvalidSettings(f"there is no setting {unknown[0]}; did you mean {nearest[0]}?")
        try:
            return cls(**values)
        except (ValidationError, ValueError) as error:
            raise InvalidSettings(_explain(error)) from None


def _explain(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "BANK_SYNC_BANKS: must be a JSON object"
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'REDIS_URL'}: {e['msg'].removeprefix('Value error, ')}"
        for e in error.errors()
    )


def _redis_parts(url: str) -> Mapping[str, object]:
    """Split a Redis URL; user name and password are percent-decoded (arq's own parser doesn't)."""
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
    except ValueError:
        raise ValueError("redis://[user:password@]host[:port][/db] is needed") from None
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("redis:// or rediss:// with a host is needed")
    db = parts.path.lstrip("/") or (parse_qs(parts.query).get("db") or ["0"])[0]
    if not db.isdigit():
        raise ValueError("the database after the slash must be a number")
    return {
        "redis_host": parts.hostname,
        "redis_port": port,
        "redis_db": int(db),
        "redis_ssl": parts.scheme == "rediss",
        "redis_username": unquote(parts.username) if parts.username else None,
        "redis_password": unquote(parts.password) if parts.password else None,
    }
