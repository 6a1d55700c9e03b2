"""The sandbox bank as each provider sees it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bankimport.models import BankConnection, Scope
from bankimport.ports import BankProvider
from bankimport.providers import BerlinGroup, EnableBanking, GoCardless
from bankimport.sandbox import Kind
from bankimport.testing.contracts import BankUnderTest, Trouble

NOW: Final = datetime(2026, 6, 17, 12, tzinfo=UTC)
#: an RSA key of this run
KEY: Final = (
    generate_private_key(public_exponent=65537, key_size=2048)
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)
TROUBLES: Final = {
    Trouble.UNAVAILABLE: Kind.UNAVAILABLE,
    Trouble.CUT: Kind.CUT,
    Trouble.NOT_JSON: Kind.NO_JSON,
    Trouble.RATE_LIMITED: Kind.RATE_LIMIT,
    Trouble.CONSENT_EXPIRED: Kind.CONSENT_EXPIRED,
    Trouble.CONSENT_REVOKED: Kind.CONSENT_INVALID,
    Trouble.OUR_CREDENTIALS: Kind.CERTIFICATE_INVALID,
    Trouble.ACCOUNT_GONE: Kind.ACCOUNT_GONE,
    Trouble.PERIOD_TOO_EARLY: Kind.PERIOD_INVALID,
}

Make = Callable[..., BankProvider]


def berlin_group(url: str, **options: Any) -> BankProvider:
    """A provider of the sandbox as a Berlin Group bank."""
    return BerlinGroup(url, **options)


def enable_banking(url: str, **options: Any) -> BankProvider:
    """A provider of the sandbox as Enable Banking."""
    return EnableBanking(application_id="app-1", private_key=KEY, base_url=url, **options)


def gocardless(url: str, **options: Any) -> BankProvider:
    """A provider of the sandbox as GoCardless."""
    return GoCardless(secret_id="id", secret_key="key", base_url=url, **options)


ALL: Final[dict[str, Make]] = {
    "berlin-group": berlin_group,
    "enable-banking": enable_banking,
    "gocardless": gocardless,
}


def connection(consent: str = "consent-1") -> BankConnection:
    """Return a connection with this consent."""
    return BankConnection("c", "acme", "sandbox", consent_id=consent)


async def misbehave(url: str, kind: Kind, consent: str = "consent-1", **fields: Any) -> None:
    """Set a switch of the sandbox."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/sandbox/consents/{consent}/switches", json={"kind": kind, **fields}) as answer,
    ):
        assert answer.status == 201, await answer.text()


async def requests_of(url: str, consent: str = "consent-1") -> list[dict[str, Any]]:
    """Return what the sandbox was asked for the consent."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/sandbox/consents/{consent}/requests") as answer:
        requests: list[dict[str, Any]] = (await answer.json())["requests"]
        return requests


def under_test(url: str, provider: BankProvider) -> BankUnderTest:
    """Return the sandbox as the contract takes it."""

    async def cause(trouble: Trouble) -> None:
        await misbehave(url, TROUBLES[trouble], endpoint=Scope.TRANSACTIONS, times=1)

    cause_: Callable[[Trouble], Awaitable[None]] = cause
    return BankUnderTest(provider, connection(), connection("consent-1~2"), connection("consent-2"), NOW.date(), cause_)
