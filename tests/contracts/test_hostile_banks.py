"""Whatever a bank sends: a typed error or clean rows, in bounded memory and time, and the next good answer is read."""

import asyncio
import gzip
import json
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from bankimport.commands import SyncConnection
from bankimport.errors import (
    BankRejected,
    InvalidSettings,
    JobError,
    MalformedData,
    RateLimited,
    Transient,
    Unsupported,
)
from bankimport.jobs import sync_connection
from bankimport.models import BankAccount, BankConnection, Transaction, Window
from bankimport.providers import BerlinGroup, Limits
from bankimport.providers.addresses import is_public
from bankimport.reading import Quarantined, read_transaction
from bankimport.testing import FakeRun, ManualClock, MemoryLedger, MemoryStore
from tests.contracts.hostile import Answer, SocketBank, http, sends, socket_bank
from tests.crowded import own_time

CONNECTION = BankConnection("c", "acme", "bank", consent_id="consent-1")
ACCOUNT = BankAccount("r", "k", "EUR")
WINDOW = Window(date(2026, 6, 1))
GOOD_ROW = '{"transactionAmount": {"amount": "1.50", "currency": "EUR"}, "bookingDate": "2026-06-17"}'
GOOD = http(f'{{"transactions": {{"booked": [{GOOD_ROW}]}}}}'.encode())
#: more than any answer may cost
MEMORY = 50 * 1024 * 1024
SECONDS = 10
#: what only the limit of time ends; anything else has time on a crowded machine
ENDED_BY_TIME = ("a byte now and then", "a header now and then", "100 Continue for ever", "silence")


def limit_of(what: str) -> Limits:
    """Return the limits that everybody has, but for the time."""
    return Limits(request=timedelta(seconds=1.5 if what in ENDED_BY_TIME else 15), pages=50)


@pytest.fixture
def bank() -> Iterator[SocketBank]:
    """A bank that means no good."""
    with socket_bank() as bank:
        yield bank


@pytest.fixture
async def provider(bank: SocketBank) -> AsyncIterator[BerlinGroup]:
    """A provider of it."""
    provider = BerlinGroup(f"http://127.0.0.1:{bank.port}", limits=limit_of(""))
    yield provider
    await provider.aclose()


async def rows_of(provider: BerlinGroup) -> list[Transaction | Quarantined]:
    """Read a window of an account."""
    pages = provider.transactions(CONNECTION, ACCOUNT, WINDOW, cursor=None, psu=None)
    return [read_transaction(row, "EUR") async for page in pages for row in page.transactions]


def page(rows: str, rest: str = "") -> bytes:
    """Return an answer with these rows."""
    return http(f'{{"transactions": {{"booked": [{rows}]{rest}}}}}'.encode())


def row(amount: str = '"1.50"', text: str = "x", more: str = "") -> str:
    """Return a row as JSON."""
    money = f'{{"amount": {amount}, "currency": "EUR"}}'
    return f'{{"transactionAmount": {money}, "bookingDate": "2026-06-17", "remittanceInformationUnstructured": "{text}"{more}}}'


def chunked(*chunks: bytes) -> bytes:
    """Return an answer in chunks, without an end."""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
        f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks
    )


def packed(body: bytes, name: str = "gzip") -> bytes:
    """Return an answer that says it is packed."""
    return http(body, f"Content-Encoding: {name}")


MB = 1024 * 1024
Make = Callable[[SocketBank], Answer]


def always(data: bytes) -> Make:
    """Return what makes an answer of these bytes."""
    return lambda bank: sends(data)


@cache
def bomb(head: bytes) -> bytes:
    """Return `head` and 200 MB of blanks in 200 KB; whoever collects the tests need not make it."""
    return gzip.compress(head + b" " * (200 * MB))


def exploding(head: bytes, *, status: str = "200 OK") -> Make:
    """Return what makes an answer of such a bomb."""
    return lambda bank: sends(http(bomb(head), "Content-Encoding: gzip", status=status))


def dripping(data: bytes) -> Make:
    """Return what sends these bytes one by one."""
    return lambda bank: lambda member, request: bank.drip(member, data)


def flooding(head: bytes, again: bytes) -> Make:
    """Return what sends `again` for ever."""

    def answer(bank: SocketBank) -> Answer:
        def member_of(member: socket.socket, request: bytes) -> None:
            member.sendall(head)
            bank.flood(member, again)

        return member_of

    return answer


def silent(bank: SocketBank) -> Answer:
    """Says nothing."""
    return lambda member, request: bank.hold()


def endless_pages(bank: SocketBank) -> Answer:
    """Each page has another after it."""

    def answer(member: socket.socket, request: bytes) -> None:
        number = int(request.split(b"n=")[1].split()[0]) if b"n=" in request else 0
        member.sendall(page(row(), f', "_links": {{"next": {{"href": "?n={number + 1}"}}}}'))

    return answer


BAD: dict[str, tuple[Make, type[JobError]]] = {
    "200 MB in 200 KB of gzip": (exploding(b'{"transactions": {"booked": ['), MalformedData),
    "gzip that ends in the middle": (always(packed(gzip.compress(GOOD_ROW.encode() * 500)[:-40])), MalformedData),
    "gzip that is none": (always(packed(b"not packed at all")), MalformedData),
    "gzip in gzip": (always(packed(gzip.compress(gzip.compress(b"{}")), "gzip, gzip")), MalformedData),
    "a packing that was not offered": (always(packed(b"\x0b\x02", "br")), MalformedData),
    "17 MB": (always(page(row(text="x" * 17 * MB))), MalformedData),
    "chunks without end": (flooding(chunked(), b"10000\r\n" + b" " * 65_536 + b"\r\n"), MalformedData),
    "a chunk of 2^64 bytes": (always(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n" + b"x" * 1000), Transient),
    "3 MB of {} for rows": (always(page(",".join(["{}"] * 1_000_000))), MalformedData),
    "3 MB of [] for rows": (always(page(",".join(["[]"] * 1_000_000))), MalformedData),
    "8 MB of numbers": (always(page(",".join(["1"] * 4_000_000))), MalformedData),
    "12 MB of wide characters": (always(page(row(text="\U0001f4b6" * 3 * MB))), MalformedData),
    "a depth of 200,000 lists": (always(http(b"[" * 200_000 + b"]" * 200_000)), MalformedData),
    "a depth of 100 objects": (always(http(b'{"a":' * 100 + b"1" + b"}" * 100)), MalformedData),
    "HTML": (always(http(b"<html><script>alert(1)</script></html>")), MalformedData),
    "nothing": (always(http(b"")), MalformedData),
    "bytes that are no text": (always(http(b'{"transactions": "\xff\xfe\xfa"}')), MalformedData),
    "half of the JSON": (always(http(GOOD.split(b"\r\n\r\n")[1][:-9])), MalformedData),
    "JSON and more": (always(http(b'{"transactions": {}} {"transactions": {}}')), MalformedData),
    "a report under two keys": (always(http(f'{{"transactions": {{"booked": [{row()}]}}, "transactions": {{}}}}'.encode())), MalformedData),
    "a text for an object": (always(http(b'"transactions"')), MalformedData),
    "a redirect": (always(http(b"", "Location: https://evil.example/", status="302 Found")), BankRejected),
    "pages in a circle": (always(page(row(), ', "_links": {"next": {"href": "?again"}}')), MalformedData),
    "pages without end": (endless_pages, MalformedData),
    "a link to another host": (always(page(row(), ', "_links": {"next": {"href": "https://evil.example/v1/x"}}')), MalformedData),
    "a link to a file": (always(page(row(), ', "_links": {"next": {"href": "file:///etc/passwd"}}')), MalformedData),
    "a link of a megabyte": (always(page(row(), f', "_links": {{"next": {{"href": "?{"x" * MB}"}}}}')), MalformedData),
    "a byte now and then": (dripping(GOOD), Transient),
    "a header now and then": (dripping(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000), Transient),
    "headers without end": (flooding(b"HTTP/1.1 200 OK\r\n", b"X-Header: y\r\n" * 1000), Transient),
    "a header without end": (flooding(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65_536), Transient),
    "100 Continue for ever": (flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), Transient),
    "silence": (silent, Transient),
    "no HTTP": (always(b"SSH-2.0-OpenSSH_9.6\r\n"), Transient),
    "a length that isn't kept": (always(GOOD.replace(b"Content-Length: ", b"Content-Length: 9")), Transient),
    "a length that is none": (always(GOOD.replace(b"Content-Length: ", b"Content-Length: -")), Transient),
    "two lengths": (always(http(b"{}", "Content-Length: 700")), Transient),
    "an error of 20 MB": (always(http(b"x" * 20 * MB, status="503 Busy")), Transient),
    "a bomb for an error": (exploding(b"", status="500 Oops"), Transient),
    "a wait of years": (always(http(b"", "Retry-After: 99999999999", status="429 Slow")), RateLimited),
    "a wait until 2199": (always(http(b"", "Retry-After: Fri, 31 Dec 2199 23:59:59 GMT", status="429 Slow")), RateLimited),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
async def test_a_bad_answer_is_a_typed_error_and_costs_little(bank: SocketBank, what: str) -> None:
    """It ends in its time and in less than 50 MB, no word of it is quoted, and the next good answer is read."""
    make, error = BAD[what]
    provider = BerlinGroup(f"http://127.0.0.1:{bank.port}", limits=limit_of(what))
    bank.answer = make(bank)
    tracemalloc.start()
    began = own_time()
    try:
        with pytest.raises(error) as told:
            await rows_of(provider)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY
    assert own_time() - began < SECONDS
    assert "evil" not in str(told.value)
    assert "passwd" not in str(told.value)
    if isinstance(told.value, RateLimited):
        assert told.value.retry_after == timedelta(hours=24)
        assert told.value.retry_at is not None
        assert told.value.retry_at <= datetime.now(UTC) + timedelta(hours=24)
    bank.answer = sends(GOOD)
    [entry] = await rows_of(provider)
    assert isinstance(entry, Transaction)
    await provider.aclose()


STRANGE: dict[str, str] = {
    "NaN": row("NaN"),
    "minus infinity": row("-Infinity"),
    "an exponent of 19 digits": row("1e9999999999999999999"),
    "an exponent of a million": row("1e1000000"),
    "an integer of a million digits": row("9" * MB),
    "a fraction of a million digits": row("0." + "9" * MB),
    "two amounts": row('"1.50", "amount": "9999.00"'),
    "a row that says everything twice": row(more=', "bookingDate": "2026-06-01"'),
    "30,000 keys": row("null", more="".join(f', "k{n}": 1' for n in range(30_000))),
}


@pytest.mark.parametrize("what", STRANGE)
async def test_a_row_of_no_sense_costs_only_itself(bank: SocketBank, provider: BerlinGroup, what: str) -> None:
    """It is quarantined; the row beside it is read, and all of it takes little memory and time."""
    bank.answer = sends(page(f"{STRANGE[what]}, {GOOD_ROW}"))
    tracemalloc.start()
    began = own_time()
    strange, good = await rows_of(provider)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(strange, Quarantined)
    assert isinstance(good, Transaction)
    assert peak < MEMORY
    assert own_time() - began < SECONDS


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("A\\u0000B", "A B"),
        ("A\\u202eB", "A B"),
        ("A\\ud800B", "A B"),
        ("x" * 5 * MB, "x" * 4096),
        ("\\u001b[31mred", "[31mred"),
        ("<script>", "<script>"),
    ],
    ids=["NUL", "right to left", "half a character", "5 MB", "an escape", "markup is text"],
)
async def test_a_text_of_no_sense_is_cleaned(bank: SocketBank, provider: BerlinGroup, text: str, read: str) -> None:
    """What can't be stored or would mislead goes, and a long one is cut; the row is kept."""
    bank.answer = sends(page(row(text=text)))
    [entry] = await rows_of(provider)
    assert isinstance(entry, Transaction)
    assert entry.remittance == read
    assert len(json.dumps(entry.raw)) < 40_000


async def test_the_same_said_twice_is_the_same(bank: SocketBank, provider: BerlinGroup) -> None:
    """A key that comes twice with one value says nothing else."""
    bank.answer = sends(page(row(more=', "bookingDate": "2026-06-17"')))
    assert isinstance((await rows_of(provider))[0], Transaction)


# Where a request may go -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "send",
    [
        lambda port: http(b"", f"Location: http://127.0.0.1:{port}/", status="307 There"),
        lambda port: http(b"", f"Location: //127.0.0.1:{port}/v1/accounts", status="301 There"),
        lambda port: page(row(), f', "_links": {{"next": {{"href": "http://127.0.0.1:{port}/v1/x"}}}}'),
        lambda port: page(row(), f', "_links": {{"next": "http://127.0.0.1:{port}/"}}'),
        lambda port: page(row(), f', "_links": {{"next": {{"href": "//2130706433:{port}/"}}}}'),
        lambda port: page(row(), f', "_links": {{"next": {{"href": "https://localhost:{port}/"}}}}'),
    ],
    ids=["redirect", "redirect without a scheme", "next", "next as text", "an address as a number", "another scheme"],
)
async def test_a_neighbour_is_never_asked(
    bank: SocketBank, provider: BerlinGroup, send: Callable[[int], bytes]
) -> None:
    """A listener beside the bank, on a private address, gets not one connection."""
    with socket_bank() as neighbour:
        bank.answer = sends(send(neighbour.port))
        with pytest.raises((MalformedData, BankRejected)):
            await rows_of(provider)
        assert neighbour.connections == 0
    assert bank.connections == 1


@pytest.fixture
def rebound(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What every name leads to, as whoever answers for it says."""
    leads_to: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *more: Any, **options: Any) -> Any:
        if host == "bank.example":
            return [entry for address in leads_to for entry in real(address, port, *more, **options)]
        return real(host, port, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return leads_to


async def test_a_name_that_leads_to_a_private_address_is_not_asked(bank: SocketBank, rebound: list[str]) -> None:
    """DNS rebinding: the bank's name suddenly leads to this machine; not one packet arrives."""
    rebound.append("127.0.0.1")
    provider = BerlinGroup(f"https://bank.example:{bank.port}")
    with pytest.raises(Unsupported, match="private network"):
        await provider.accounts(CONNECTION, None)
    await provider.aclose()
    assert bank.connections == 0


async def test_an_operator_may_allow_a_private_network(bank: SocketBank, rebound: list[str]) -> None:
    """A gateway of one's own: it is asked, and has to prove who it is as any other."""
    rebound.append("127.0.0.1")
    provider = BerlinGroup(
        f"https://bank.example:{bank.port}", private_network=True, limits=Limits(request=timedelta(seconds=1))
    )
    with pytest.raises(Transient):
        await provider.accounts(CONNECTION, None)
    await provider.aclose()
    assert bank.connections == 1


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1",
     "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "::", "no address"],
)  # fmt: skip
def test_these_are_no_addresses_of_a_bank(address: str) -> None:
    """This machine, private networks, links, metadata services, and each of them written inside another."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["9.9.9.9", "2620:fe::fe", "64:ff9b::909:909"])
def test_these_are(address: str) -> None:
    """Addresses of the internet."""
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    ["http://bank.example", "http://10.0.0.1", "http://192.168.0.1:8080/psd2", "http://localhost.example", "ftp://localhost",
     "https://", "bank.example", "http://[::2]", "http://127.0.0.1.example/"],
)  # fmt: skip
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    """Everybody on the way could read the accounts; the error says what is needed and quotes nothing."""
    with pytest.raises(InvalidSettings, match="base_url") as told:
        BerlinGroup(url)
    assert "example" not in str(told.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8090", "http://localhost:8090", "http://[::1]:8090", "https://b.example"]
)
async def test_a_sandbox_on_this_machine_may_be_plain(url: str) -> None:
    """And any bank over TLS."""
    await BerlinGroup(url).aclose()


async def test_a_drip_holds_up_nobody_else(bank: SocketBank) -> None:
    """While one bank drips, the loop goes on."""
    provider = BerlinGroup(f"http://127.0.0.1:{bank.port}", limits=limit_of("a byte now and then"))
    bank.answer = lambda member, request: bank.drip(member, GOOD)
    reading = asyncio.ensure_future(rows_of(provider))
    turns = 0
    while not reading.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert isinstance(reading.exception(), Transient)
    assert turns > 5
    await provider.aclose()


# Through the job ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "second",
    [
        "3 MB of {} for rows",
        "200 MB in 200 KB of gzip",
        "HTML",
        "pages in a circle",
        "a link to another host",
        "silence",
    ],
)
async def test_a_hostile_second_page_leaves_nothing_half_done(bank: SocketBank, second: str) -> None:
    """What came before is kept where its ids are sure, nothing is proven by it, the job fails with its reason, and the
    next good answer ends in the bank's rows."""
    provider = BerlinGroup(f"http://127.0.0.1:{bank.port}", limits=limit_of(second), unattended_limit=None)
    store, ledger, clock = MemoryStore(), MemoryLedger(), ManualClock(datetime(2026, 6, 17, 12, tzinfo=UTC))
    store.add(CONNECTION)
    rows = [row(f'"{n}.50"', more=f', "transactionId": "t{n}"') for n in range(1, 21)]
    hostile = BAD[second][0](bank)

    def answers(last: Answer) -> Answer:
        def answer(member: socket.socket, request: bytes) -> None:
            target = request.split(b" ")[1]
            if b"/transactions" not in target and b"again" not in target:
                body = {"accounts": [{"resourceId": "r", "iban": "DE02120300000000202051", "currency": "EUR"}]}
                good = {"balances": []} if b"/balances" in target else body
                member.sendall(http(json.dumps(good).encode()))
            elif b"page=2" in target or b"again" in target:
                last(member, request)
            else:
                member.sendall(page(", ".join(rows[:10]), ', "_links": {"next": {"href": "?page=2"}}'))

        return answer

    async def sync(fence: int) -> Any:
        command = SyncConnection(connection_id="c", org_id="acme")
        return await sync_connection(
            command, FakeRun(fence=fence), banks={"bank": provider}, store=store, ledger=ledger, clock=clock
        )

    bank.answer = answers(hostile)
    with pytest.raises(JobError) as told:
        await sync(1)
    assert told.value.code == ("transient" if second == "silence" else "malformed-data")
    [account] = await store.accounts("c")
    assert len(store.rows(account.id)) == 10
    assert (await store.account_state(account)).coverage == ()
    bank.answer = answers(sends(page(", ".join(rows[10:]))))
    result = await sync(2)
    assert result.success
    assert sorted(each.transaction.amount for each in store.rows(account.id)) == [
        Decimal(f"{n}.50") for n in range(1, 21)
    ]
    await provider.aclose()
