"""How a person gives a consent and takes it back, and what a provider shares or hands on meanwhile."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable

from bankimport.models import (
    BankConnection,
    Begun,
    Callback,
    ConsentRequest,
    ConsentStatus,
    Granted,
    Institution,
    PsuContext,
)

#: Keeps the credentials of a connection that a provider was handed anew: `await keep(connection_id, credentials)`.
KeepCredentials = Callable[[str, Mapping[str, Any]], Awaitable[None]]


class ConsentFlow(Protocol):
    """How a person gives a consent, and takes it back. It decides nothing about users, states or storage.

    Each method may raise `Transient` (not just now), `CredentialError` (our key, certificate or address is refused) and
    the other errors of `BankProvider`.
    """

    async def begin(self, request: ConsentRequest) -> Begun:
        """Ask the bank for an authorisation; return where the person is to go.

        Raises:
            InvalidRequest: the institution is unknown, or none is named and one is needed.
        """

    async def finish(self, begun: Begun, callback: Callback, psu: PsuContext | None) -> Granted:
        """Return the consent that the person has given; called once the person is back without an error, or once
        `status` has said that it is over.

        Raises:
            NotGranted: there is none, by whose doing.
        """

    async def status(self, begun: Begun) -> ConsentStatus:
        """Return how a consent stands that the person gives in the bank's own app; asked again and again while it is
        `PENDING`, and only where `begin` gave no address."""

    async def revoke(self, connection: BankConnection) -> None:
        """Withdraw a consent at the bank; one that has ended already is no error."""

    async def banks(self, country: str | None = None) -> Sequence[Institution]:
        """Return the banks that can be named in `begin`; none where the provider is one bank."""


@runtime_checkable
class OffersConsent(Protocol):
    """A provider by which a person can connect a bank; without it connections are added by the host's own code."""

    @property
    def consent_flow(self) -> ConsentFlow:
        """How that is done."""


@runtime_checkable
class RotatesCredentials(Protocol):
    """A provider whose bank hands out new credentials as it is read (a refresh token that is good for one use)."""

    def keep_credentials_with(self, keep: KeepCredentials) -> None:
        """Remember `keep`, and await it with new credentials before they are used: what is lost is lost for good."""


class TokenShelf(Protocol):
    """Where tokens of a provider are kept for all workers: small texts that end by themselves, and turns."""

    async def get(self, name: str) -> str | None:
        """Return what is kept, or None."""

    async def put(self, name: str, value: str, ttl: timedelta) -> None:
        """Keep a text for so long."""

    async def drop(self, name: str) -> None:
        """Keep it no longer."""

    def turn(self, name: str) -> AbstractAsyncContextManager[None]:
        """Return a context that one has at a time, over all workers; whoever dies in it loses it after a while."""


@runtime_checkable
class SharesTokens(Protocol):
    """A provider whose application has one access token for all of its connections (GoCardless)."""

    def share_tokens(self, shelf: TokenShelf) -> None:
        """Keep the token on `shelf` from now on, sealed: others can read what is there."""
