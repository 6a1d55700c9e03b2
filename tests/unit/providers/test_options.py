"""What a bank's settings may say, and how a wrong one is told."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bankimport.errors import InvalidSettings
from bankimport.models import BankConnection, Scope
from bankimport.providers import BerlinGroup, providers_from_settings

GATEWAY: dict[str, Any] = {"type": "berlin-group", "base_url": "https://bank.example"}


def told(**options: Any) -> str:
    """Return what is said of these options."""
    with pytest.raises(InvalidSettings) as error:
        providers_from_settings({"gateway": {**GATEWAY, **options}})
    return str(error.value)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("ignore_id", "ignore_ids"), ("unattendedLimit", "unattended_limit"), ("invert_amount", "invert_amounts"),
        ("dayField", "day_field"), ("id_field", "id_fields"), ("client_certificate", "client_cert"),
        ("pages_newest", "pages_newest_first"), ("max_histroy_days", "max_history"), ("baseurl", "base_url"),
    ],
)  # fmt: skip
def test_an_unknown_option_names_the_nearest(wrong: str, right: str) -> None:
    """With the bank, and without the value."""
    said = told(**{wrong: "hush"})
    assert said.startswith(f"BANK_SYNC_BANKS: gateway: {wrong} is none of ")
    assert f"did you mean {right}" in said
    assert "hush" not in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unattended_limit": -1}, "unattended_limit: "), ({"unattended_limit": "four"}, "unattended_limit: "),
        ({"max_history_days": 0}, "max_history_days must be 1 to 3650"), ({"max_history_days": True}, "max_history_days"),
        ({"invert_amounts": {"status": ["pending"]}}, "status is none of accounts, statuses; did you mean statuses?"),
        ({"invert_amounts": {"statuses": ["later"]}}, "invert_amounts: "), ({"id_fields": []}, "id_fields: "),
        ({"day_field": "valuedate"}, "day_field: "), ({"timezone": "Berlin"}, "timezone: an IANA name is needed"),
        ({"timezone": "../etc"}, "timezone: "), ({"quota_day": "week"}, "quota_day: "),
        ({"unattended_scopes": ["details"]}, "unattended_scopes: "), ({"dialect": "2"}, "dialect: "),
        ({"limits": {"pages": "many"}}, "limits: "), ({"limits": {"page": 1}}, "limits: "),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_value_is_named(options: dict[str, Any], said: str) -> None:
    """By its option."""
    assert told(**options).startswith(f"BANK_SYNC_BANKS: gateway: {said}")


async def test_what_a_bank_allows_is_told_to_the_budget() -> None:
    """Every option of the quota."""
    banks = providers_from_settings(
        {
            "gateway": {
                **GATEWAY,
                "unattended_limit": None,
                "unattended_scopes": ["transactions"],
                "unattended_allowed": False,
                "quota_day": "calendar",
                "timezone": "Europe/Helsinki",
                "pages_count": True,
                "max_history_days": 730,
                "id_quality": "weak",
                "limits": {"pages": 7, "request": "PT90S"},
            }
        }
    )
    offers = await banks["gateway"].capabilities(BankConnection("c", "o", "gateway"))
    assert (offers.unattended_limit, offers.quota_scopes) == (None, {Scope.TRANSACTIONS})
    assert (offers.unattended_allowed, offers.quota_zone) == (False, ZoneInfo("Europe/Helsinki"))
    assert (offers.pages_count, offers.max_history, offers.id_quality) == (True, timedelta(days=730), "weak")


async def test_a_rolling_day_has_no_zone() -> None:
    """As most banks count."""
    provider = BerlinGroup("https://bank.example")
    assert (await provider.capabilities(BankConnection("c", "o", "b"))).quota_zone is None
