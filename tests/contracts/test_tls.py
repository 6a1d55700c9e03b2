"""Our certificate at a bank that demands one, over real TLS: it is shown, and its refusal is the operator's affair."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from bankimport.errors import CredentialError, Transient
from bankimport.models import BankConnection
from bankimport.providers import BerlinGroup

CONNECTION = BankConnection("c", "acme", "bank", consent_id="consent-1")
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"accounts":[]}'


@dataclass(frozen=True)
class Bank:
    """A bank that lets in whose certificate its authority has issued."""

    url: str
    folder: Path


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def bank(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bank]:
    """A bank with blocking sockets: OpenSSL sends the alert, which asyncio's server does not."""
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    stranger.cert_pem.write_to_path(tmp_path / "stranger.pem")
    for name, issuer in (("ours", authority), ("foreign", stranger)):
        issuer.issue_cert("tpp.example").private_key_and_cert_chain_pem.write_to_path(tmp_path / f"{name}.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = context.maximum_version = request.param
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, args=(listener, context))
    thread.start()
    yield Bank(f"https://127.0.0.1:{listener.getsockname()[1]}", tmp_path)
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


def serve(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Answer one request of each connection; after an alert, wait for the other side, which still has to read it."""
    while True:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        with (
            context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as member,
            suppress(OSError),
        ):
            try:
                member.do_handshake()
                member.recv(65_536)
                member.sendall(ANSWER)
            except ssl.SSLError:
                socket.socket.shutdown(member, socket.SHUT_WR)
                while socket.socket.recv(member, 65_536):
                    pass


async def accounts(bank: Bank, certificate: str | None, authority: str = "authority") -> int:
    """Ask for the accounts with this certificate, and return how many there are."""
    shown = None if certificate is None else str(bank.folder / f"{certificate}.pem")
    trusted = str(bank.folder / f"{authority}.pem")
    provider = BerlinGroup(bank.url, client_cert=shown, client_key=shown, ca_certs=trusted)
    try:
        return len(await provider.accounts(CONNECTION, None))
    finally:
        await provider.aclose()


async def test_our_certificate_opens_the_door(bank: Bank) -> None:
    """The certificate of the settings is shown."""
    assert await accounts(bank, "ours") == 0


@pytest.mark.parametrize("certificate", ["foreign", None])
async def test_a_refused_certificate_is_ours_to_mend(bank: Bank, certificate: str | None) -> None:
    """One of another authority, or none: no person is asked to authorise again, and no retry would help."""
    with pytest.raises(CredentialError):
        await accounts(bank, certificate)


async def test_a_bank_that_cant_prove_who_it_is_is_told_nothing(bank: Bank) -> None:
    """A server whose certificate our authorities have not issued gets no request."""
    with pytest.raises(Transient, match="could not be verified"):
        await accounts(bank, "ours", authority="stranger")
