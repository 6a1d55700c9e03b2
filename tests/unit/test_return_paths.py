"""Where a person may be sent back to: open redirects are how a callback is abused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bankimport.return_paths import is_listable, may_return_to, with_answer

LISTED = ("https://app.example/banks", "myapp://banks", "/settings/banks", "https://all.example")


@pytest.mark.parametrize(
    "target",
    [
        "https://app.example/banks",
        "https://app.example/banks/",
        "https://app.example/banks/new?tab=1",
        "https://APP.example/banks",
        "https://all.example",
        "https://all.example/anything?x=https://evil.example",
        "myapp://banks",
        "myapp://banks/done",
        "/settings/banks?open=1",
    ],
)
def test_what_is_listed_is_reached(target: str) -> None:
    """The address itself, and what is below it, with any query."""
    assert may_return_to(target, LISTED)


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/banks",
        "https://app.example.evil.example/banks",
        "https://app.example/banksy",
        "https://app.example/",
        "https://app.example:8443/banks",
        "http://app.example/banks",
        "https://app.example@evil.example/banks",
        "https://user@app.example/banks",
        "https://app.example/banks/../admin",
        "https://app.example/banks/%2e%2e/admin",
        "https://app.example/banks/..%2fadmin",
        "https://app.example\\@evil.example/banks",
        "//evil.example/settings/banks",
        "/settings/banks/../../logout",
        "/settings//banks",
        "/other",
        "settings/banks",
        "javascript:alert(1)",
        "JavaScript://app.example/banks%0aalert(1)",
        "data:text/html,x",
        "myapp2://banks",
        "myapp://other",
        "https://app.example/banks#x",
        "https://app.example/banks\r\nSet-Cookie: a=b",
        "https://app.example/ba nks",
        "https://[::1/banks",
        "",
    ],
)
def test_nothing_else_is(target: str) -> None:
    """Whatever looks like it, and is another place or a program, is refused."""
    assert not may_return_to(target, LISTED)


@given(st.text(max_size=60))
def test_any_text_has_an_answer(target: str) -> None:
    """Nothing breaks it, and what is let through begins as one that is listed."""
    if may_return_to(target, LISTED):
        assert target.lower().startswith(tuple(entry.lower() for entry in LISTED))


@pytest.mark.parametrize(
    ("entry", "fits"),
    [
        ("https://app.example", True),
        ("myapp://banks", True),
        ("/banks", True),
        ("banks", False),
        ("//app.example", False),
        ("javascript://x", False),
        ("https://app.example/?a=b", False),
        ("https://", False),
    ],
)
def test_what_a_host_may_list(entry: str, *, fits: bool) -> None:
    """An address, a deep link or a path."""
    assert is_listable(entry) is fits


def test_the_answer_is_added() -> None:
    """What the host's own query has stays; what it has of ours is replaced."""
    target = with_answer("myapp://banks?tab=1&outcome=x", {"connection": "giro", "outcome": "connected"})
    assert target == "myapp://banks?tab=1&connection=giro&outcome=connected"
