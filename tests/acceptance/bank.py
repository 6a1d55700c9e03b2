"""What the bank serves, read without any of our code: the truth that the database is compared with."""

import uuid
from dataclasses import dataclass
from typing import Any

import aiohttp


@dataclass(frozen=True)
class Served:
    """Everything a bank serves for one consent, and in how many pages."""

    accounts: list[dict[str, Any]]
    #: IBAN, status, booking date, value date, amount, currency: as in the store's tables, sorted
    rows: list[tuple[Any, ...]]
    pages: dict[str, int]


async def read_bank(bank_url: str, consent_id: str, since: str) -> Served:
    """Read all accounts and pages of a Berlin Group API, from the day `since`."""
    rows: list[tuple[Any, ...]] = []
    pages: dict[str, int] = {}
    async with aiohttp.ClientSession(headers={"Consent-ID": consent_id}) as session:
        accounts = (await _get(session, f"{bank_url}/v1/accounts"))["accounts"]
        for account in accounts:
            iban = account["iban"]
            url: str | None = (
                f"{bank_url}/v1/accounts/{account['resourceId']}/transactions?dateFrom={since}&bookingStatus=both"
            )
            pages[iban] = 0
            while url:
                body = (await _get(session, url))["transactions"]
                pages[iban] += 1
                rows += [
                    _row(iban, status, entry) for status in ("booked", "pending") for entry in body.get(status, [])
                ]
                following = body.get("_links", {}).get("next", {}).get("href")
                url = following if following is None or following.startswith("http") else f"{bank_url}{following}"
    return Served(accounts, sorted(rows, key=str), pages)


async def read_balances(bank_url: str, consent_id: str) -> list[tuple[Any, ...]]:
    """Read the balances of all accounts: IBAN, type, amount, currency and day, as in the store's tables, sorted."""
    found: list[tuple[Any, ...]] = []
    async with aiohttp.ClientSession(headers={"Consent-ID": consent_id}) as session:
        for account in (await _get(session, f"{bank_url}/v1/accounts"))["accounts"]:
            body = await _get(session, f"{bank_url}/v1/accounts/{account['resourceId']}/balances")
            for each in body["balances"]:
                money = each["balanceAmount"]
                kind, day = each["balanceType"], each["referenceDate"]
                found.append((account["iban"], kind, money["amount"], money["currency"], day))
    return sorted(found)


async def _get(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url, headers={"X-Request-ID": str(uuid.uuid4())}) as answer:
        assert answer.status == 200, await answer.text()
        body: dict[str, Any] = await answer.json()
        return body


def _row(iban: str, status: str, entry: dict[str, Any]) -> tuple[Any, ...]:
    amount = entry["transactionAmount"]
    return (iban, status, entry.get("bookingDate"), entry.get("valueDate"), amount["amount"], amount["currency"])
