"""The address of the person who asks: from the request, believed only as far as trusted proxies wrote it."""

import ipaddress

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from bankimport.web.person import client_address, networks, person

PROXIES = networks(["10.0.0.0/8", "2001:db8::1"])


@pytest.mark.parametrize(
    ("remote", "forwarded", "address"),
    [
        ("8.8.8.8", [], "8.8.8.8"),
        ("8.8.8.8", ["9.9.9.9"], "8.8.8.8"),
        ("10.0.0.1", ["9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["6.6.6.6, 9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["6.6.6.6", "9.9.9.9, 10.2.2.2"], "9.9.9.9"),
        ("10.0.0.1", ["9.9.9.9:4711"], "9.9.9.9"),
        ("10.0.0.1", ["[2a00::7]:4711"], "2a00::7"),
        ("2001:db8::1", ["2a00::7"], "2a00::7"),
        ("::ffff:10.0.0.1", ["9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["9.9.9.9, unknown"], None),
        ("10.0.0.1", [""], None),
        ("10.0.0.1", [], "10.0.0.1"),
        (None, ["9.9.9.9"], None),
    ],
)
def test_the_last_hop_that_is_no_proxy(remote: str | None, forwarded: list[str], address: str | None) -> None:
    """The chain is followed from the right, through trusted proxies only."""
    found = client_address(remote, forwarded, PROXIES)
    assert (str(found) if found else None) == address


@given(st.lists(st.ip_addresses().map(str), max_size=4))
def test_nobody_is_believed_by_default(forwarded: list[str]) -> None:
    """Without trusted proxies no header changes the address."""
    assert client_address("8.8.8.8", forwarded, ()) == ipaddress.ip_address("8.8.8.8")


@pytest.mark.parametrize("address", ["127.0.0.1", "192.168.1.2", "10.1.1.1", "169.254.1.1", "::1", "fe80::1", "fd00::1",
                                     "::ffff:127.0.0.1", "224.0.0.1", "0.0.0.0", "100.64.0.1", "odd"])  # fmt: skip
def test_a_private_address_is_none(address: str) -> None:
    """No loopback, private or shared address is ever passed on to a bank."""
    request = make_mocked_request("POST", "/", headers={"X-Forwarded-For": address}).clone(remote="10.0.0.1")
    assert person(request, PROXIES) is None


def test_the_user_agent_comes_along() -> None:
    """The browser's name is passed on, printable and short; none is none."""
    agent = "Mozilla/5.0 ‮evil" + "x" * 300
    request = make_mocked_request("POST", "/", headers={"User-Agent": agent}).clone(remote="8.8.8.8")
    found = person(request, ())
    assert found is not None
    assert (found.ip, found.user_agent) == ("8.8.8.8", ("Mozilla/5.0 evil" + "x" * 300)[:256])
    assert found.at is not None
    assert "8.8.8.8" not in repr(found)


def test_a_wrong_proxy_stops_the_start() -> None:
    """What is no network is said as the application is made."""
    with pytest.raises(ValueError, match="nonsense"):
        networks(["nonsense"])
