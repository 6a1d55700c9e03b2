"""What is taken out of logs, and what stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bankimport.redaction import REDACTED, is_iban, redact, redact_text

IBAN = "DE89370400440532013000"


@pytest.mark.parametrize(
    "text",
    [
        IBAN,
        "DE89 3704 0044 0532 0130 00",
        f"account {IBAN}, closed",
        f"{IBAN} EUR",
        "Authorization: Bearer abc.def-123456",
        "basic dXNlcjpwYXNzd29yZA==",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
        "redis://user:s3cret-pass@localhost:6379/0",
        "https://bank.example/callback?code=s3cret-pass&state=x",
        "access_token=s3cret-pass",
        '{"client_secret": "s3cret-pass"}',
        "refresh_token: s3cret-pass",
    ],
)
def test_secrets_in_a_text(text: str) -> None:
    """Whatever looks like a secret is taken out of a text."""
    told = redact_text(text)
    assert REDACTED in told
    for secret in ("s3cret-pass", IBAN, "0532 0130", "abc.def", "dXNlcjpwYXNz", "eyJzdWIi"):
        assert secret not in told


@pytest.mark.parametrize(
    "text",
    [
        "job V1StGXR8_Z5jdHi6 failed",
        "transient",
        "DE8937040044",
        "2026-03-31T08:00:00Z",
        "giro:1",
        "ABCD12EFGHIJKLMNOP",
    ],
)
def test_what_stays(text: str) -> None:
    """Ids, codes and instants stay as they are."""
    assert redact_text(text) == text


def test_secrets_by_name() -> None:
    """A value of a secret's name is taken out whatever it looks like, at any depth; codes and numbers stay."""
    told = redact(
        {"error_code": "transient", "job_id": "j", "credentials": {"a": "x"}, "more": [{"iban": "y", "n": 1}]}
    )
    assert told == {
        "error_code": "transient",
        "job_id": "j",
        "credentials": REDACTED,
        "more": [{"iban": REDACTED, "n": 1}],
    }


def test_bounded() -> None:
    """A long text is cut, a deep value too."""
    assert len(redact("x" * 100_000)) < 3000
    deep: object = "x"
    for _ in range(2000):
        deep = [deep]
    assert "…" in str(redact(deep))


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    """Redacting never fails, and redacting twice changes nothing more."""
    once = redact_text(text)
    assert not [word for word in once.split() if is_iban(word)]
