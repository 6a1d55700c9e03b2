"""The options of a Berlin Group bank, and what its certificates and tokens make of a connection."""

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from yarl import URL

from bankimport.errors import InvalidSettings
from bankimport.providers.addresses import checked_base
from bankimport.providers.authorization_server import AuthorizationServer
from bankimport.providers.http import BoundedClient
from bankimport.providers.oauth import Bearer
from bankimport.providers.options import ProviderOptions

#: signs a request: of method, URL, headers and body it makes more headers (`Digest`, `Signature`, …)
Sign = Callable[[str, str, Mapping[str, str], bytes], Mapping[str, str]]


class BerlinGroupOptions(ProviderOptions):
    """The options of a bank of type `berlin-group`."""

    base_url: str = Field(description="where `/v1/…` begins: `https://`, or `http://` for a sandbox on this machine")
    dialect: Literal["1.3"] = Field(default="1.3", description="the version that the bank speaks")
    client_cert: str | None = Field(default=None, description="path of our certificate (QWAC), PEM")
    client_key: str | None = Field(default=None, description="path of its key, PEM")
    ca_certs: str | None = Field(default=None, description="path of the authorities to trust, where not the system's")
    token_url: str | None = Field(
        default=None,
        description="where the bank renews a person's access token (OAuth 2.0): an address, or a path of the bank's",
    )
    authorization_server: str | None = Field(
        default=None,
        description="where the bank's OAuth server is, if not at `base_url` or `token_url`: `https://` and its host",
    )
    oauth_scope: str = Field(
        default="AIS:{consent_id}", description="what is asked for there, with the consent's id in its place"
    )
    client_id: str | None = Field(default=None, description="our id there")
    client_secret: SecretStr | None = Field(
        default=None, description="our secret there, where the certificate isn't enough"
    )
    sign: Sign | None = Field(
        default=None,
        description="in code only: a function that is given method, URL, headers and body, and returns more headers",
    )
    booking_status: Literal["both", "booked"] = Field(
        default="both", description="what is asked for; some banks refuse `both`"
    )
    consent_access: Literal["bank-offered", "all-accounts"] = Field(
        default="bank-offered",
        description="what a person consents to: what they choose at the bank, or all accounts",
    )
    approach: Literal["redirect", "decoupled"] = Field(
        default="redirect",
        description="how a person should authorise: on the bank's pages, or in its app; the bank decides",
    )
    consent_days: int = Field(default=180, ge=1, le=180, description="so many days a new consent is asked for")
    own_address: str | None = Field(
        default=None,
        description="our own public address: sent with a new consent where the person's isn't known, since one must be",
    )
    card_accounts: bool = Field(default=False, description="read `/card-accounts` too")
    delta: Literal["entry-reference"] | None = Field(
        default=None,
        description="ask for booked entries after the last one only, where the bank takes `entryReferenceFrom`",
    )
    pages_newest_first: bool = Field(
        default=True,
        description="whether the bank's pages begin with the newest entry, as nearly all do: `delta` goes on after it",
    )
    day_field: Literal["bookingDate", "valueDate", "transactionDate", "bookingDateTime", "valueDateTime"] | None = (
        Field(default=None, description="which date is the day of an entry, where it isn't the booking date")
    )

    def tls(self) -> ssl.SSLContext | None:
        """Return what our certificate and the trusted authorities make of a connection.

        Raises:
            InvalidSettings: a file isn't there, or is no PEM.
        """
        return _tls(self.client_cert, self.client_key, self.ca_certs)

    def authorization(self) -> tuple[AuthorizationServer, Bearer]:
        """Return what asks the bank's authorization server, and what renews access tokens there.

        Raises:
            InvalidSettings: `token_url` or `authorization_server` is none that may be asked.
        """
        url = None if self.token_url is None else self._url("token_url", self.token_url)
        other = self.authorization_server
        origin = self._url("authorization_server", other) if other is not None else url or checked_base(self.base_url)
        try:
            client = BoundedClient(str(origin.origin()), self.limits, self.tls(), private_network=self.private_network)
        except (ValueError, InvalidSettings):
            named = "authorization_server" if other is not None else "token_url"
            raise InvalidSettings(f"{named}: https:// with a host is needed, or a path of the bank's") from None
        secret = None if self.client_secret is None else self.client_secret.get_secret_value()
        server = AuthorizationServer(client, self.client_id, secret)
        return server, Bearer(server, url)

    def _url(self, name: str, text: str) -> URL:
        try:
            return checked_base(self.base_url).join(URL(text))
        except ValueError:
            raise InvalidSettings(f"{name}: https:// with a host is needed, or a path of the bank's") from None


def _tls(cert: str | None, key: str | None, authorities: str | None) -> ssl.SSLContext | None:
    if cert is None and authorities is None:
        return None
    for name, path in (("client_cert", cert), ("client_key", key), ("ca_certs", authorities)):
        if path is not None and not Path(path).is_file():
            raise InvalidSettings(f"{name}: there is no such file")
    try:
        context = ssl.create_default_context(cafile=authorities)
        if cert is not None:
            context.load_cert_chain(cert, key)
    except (ssl.SSLError, OSError):
        raise InvalidSettings("client_cert, client_key or ca_certs: can't be read as PEM") from None
    return context
