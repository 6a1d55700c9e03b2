"""banking.md §4.12–13: the shapes in which real banks write an entry, and what each of them means."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from bankimport.errors import MalformedData
from bankimport.models import (
    Balance,
    BankAccount,
    IdQuality,
    Transaction,
    TransactionStatus,
    UnreadableBalance,
)
from bankimport.providers.berlin_group_rows import RowReader, balances_of, next_link
from bankimport.providers.options import ReadingOptions
from bankimport.reading import Quarantined, read_transaction

TODAY = date(2026, 6, 17)
ACCOUNT = BankAccount("r", "k", "EUR", kind="CARD", name="Karte")
PLAIN = {"transactionAmount": {"amount": "-4.20", "currency": "EUR"}, "bookingDate": "2026-06-10"}


def read(
    row: Any, status: str = "booked", account: BankAccount = ACCOUNT, day_field: str | None = None, **options: Any
) -> Transaction | Quarantined | None:
    """Read one row of a page, from its JSON on."""
    reader = RowReader(ReadingOptions(**options), IdQuality.STRONG, ("transactionId", "entryReference"), day_field)
    report = json.loads(json.dumps({status: [row]}), parse_float=Decimal)
    rows = reader.page(report, account)
    return read_transaction(rows[0], account.currency, TODAY) if rows else None


def facts(row: Any, status: str = "booked", **options: Any) -> Transaction:
    """Read a row that can be read."""
    entry = read(row, status, **options)
    assert isinstance(entry, Transaction), entry
    return entry


JUNE_10, JUNE_11, JUNE_12 = date(2026, 6, 10), date(2026, 6, 11), date(2026, 6, 12)


@pytest.mark.parametrize(
    ("dates", "day"),
    [
        ({"bookingDate": "2026-06-10", "valueDate": "2026-06-12"}, JUNE_10),
        ({"valueDate": "2026-06-12"}, JUNE_12),
        ({"bookingDate": "pending", "valueDate": "2026-06-12"}, JUNE_12),
        ({"bookingDate": "2026-13-45", "valueDate": "2026-06-12"}, JUNE_12),
        ({"bookingDate": "", "valueDate": "2026-06-12"}, JUNE_12),
        ({"bookingDate": "9999-12-31", "valueDate": "2026-06-12"}, JUNE_12),
        ({"bookingDate": None, "transactionDate": "2026-06-11"}, JUNE_11),
        ({"bookingDate": 20260610, "valueDate": None, "transactionDate": "2026-06-11"}, JUNE_11),
        ({"bookingDate": "2026/06/10"}, JUNE_10),
        ({"bookingDate": "2026/06/10 08:15:00"}, JUNE_10),
        ({"bookingDate": "20260610"}, JUNE_10),
        ({"bookingDate": "20260610T081500Z"}, JUNE_10),
        ({"bookingDate": "10.06.2026"}, JUNE_10),
        ({"bookingDate": "2026-06-10Z"}, JUNE_10),
        ({"bookingDate": "2026-06-10+02:00"}, JUNE_10),
        ({"bookingDate": "2026-06-10T00:00:00"}, JUNE_10),
        ({"bookingDate": " 2026-06-10 "}, JUNE_10),
        ({"bookingDateTime": "2026-06-10T23:30:00Z"}, JUNE_10),
        ({"bookingDateTime": "2026-06-10T23:30:00.123456+02:00"}, JUNE_10),
        ({"bookingDateTime": "2026-06-10T23:30:00"}, JUNE_10),
        ({"bookingDateTime": "2026-06-10 23:30:00 +0200"}, JUNE_10),
        ({"valueDateTime": "2026-06-12T00:00:00Z"}, JUNE_12),
        ({"bookingDateTime": "soon", "valueDateTime": "2026-06-12T00:00:00Z"}, JUNE_12),
        ({"bookingDateTime": "2026-06-10T09:00:00Z", "valueDate": "2026-06-12"}, JUNE_12),
        ({"acceptorTransactionDateTime": "2026-06-11T09:00:00Z"}, JUNE_11),
    ],
    ids=str,
)  # fmt: skip
def test_any_readable_date_is_the_day(dates: dict[str, Any], day: date) -> None:
    """Booking, value and transaction date, then the instants; a plain date stays that date, in whatever zone."""
    assert facts({"transactionAmount": PLAIN["transactionAmount"], **dates}).day == day


def test_an_instant_stands_in_for_its_date() -> None:
    """A row that has only instants is stored with both dates, and decided by the booking's."""
    entry = facts(
        {**PLAIN, "bookingDate": None, "bookingDateTime": "2026-06-10T09:00:00Z", "valueDateTime": "2026-06-12"}
    )
    assert (entry.booking_date, entry.value_date, entry.day) == (JUNE_10, JUNE_12, JUNE_10)


@pytest.mark.parametrize("dates", [{}, {"valueDate": ""}, {"bookingDate": None, "valueDate": "???"}], ids=str)
def test_a_pending_entry_without_a_date_is_of_the_day_it_was_read(dates: dict[str, Any]) -> None:
    """A booked one without any can't be placed, and is quarantined with the reason."""
    row = {"transactionAmount": PLAIN["transactionAmount"], **dates}
    entry = facts(row, "pending")
    assert (entry.day, entry.booking_date, entry.value_date) == (TODAY, None, None)
    assert isinstance(read(row, "booked"), Quarantined)


@pytest.mark.parametrize(
    ("fields", "amount", "currency"),
    [
        ({"transactionAmount": {"amount": "-4.20", "currency": "EUR"}}, "-4.20", "EUR"),
        ({"transactionAmount": {"amount": -4.2, "currency": "EUR"}}, "-4.2", "EUR"),
        ({"transactionAmount": {"amount": -4, "currency": "EUR"}}, "-4", "EUR"),
        ({"transactionAmount": {"amount": "-1.234,56", "currency": "EUR"}}, "-1234.56", "EUR"),
        ({"transactionAmount": {"amount": "4.20-", "currency": "EUR"}}, "-4.20", "EUR"),
        ({"transactionAmount": {"amount": "\u22124.20", "currency": "EUR"}}, "-4.20", "EUR"),
        ({"transactionAmount": {"amount": "-4.20", "currency": "XXX"}}, "-4.20", "EUR"),
        ({"transactionAmount": {"amount": "-4.20", "currency": "eur"}}, "-4.20", "EUR"),
        ({"transactionAmount": {"amount": "-4.20", "currency": ""}}, "-4.20", "EUR"),
        ({"transactionAmount": {"amount": "-4.20", "currency": None}}, "-4.20", "EUR"),
        ({"transactionAmount": {"amount": "-4.20"}}, "-4.20", "EUR"),
        ({"transactionAmount": {"amount": "-4.20", "currency": " usd "}}, "-4.20", "USD"),
        ({"transactionAmount": "-4.20"}, "-4.20", "EUR"),
        ({"transactionAmount": -4.2}, "-4.2", "EUR"),
        *(
            ({"transactionAmount": {"amount": "4.20"}, "creditDebitIndicator": word}, "-4.20", "EUR")
            for word in ("DBIT", "dbit", "Debit", "D", "d", "DR", " DEBIT ")
        ),
        *(
            ({"transactionAmount": {"amount": "4.20"}, "creditDebitIndicator": word}, "4.20", "EUR")
            for word in ("CRDT", "crdt", "Credit", "C", "c", "CR", "", None, "  ")
        ),
        ({"transactionAmount": {"amount": "-4.20"}, "creditDebitIndicator": "CRDT"}, "4.20", "EUR"),
        ({"transactionAmount": {"amount": "-4.20"}, "creditDebitIndicator": "DBIT"}, "-4.20", "EUR"),
        ({"transactionAmount": {"amount": 4.2}, "creditDebitIndicator": "D"}, "-4.2", "EUR"),
    ],
    ids=str,
)  # fmt: skip
def test_money_in_every_spelling(fields: dict[str, Any], amount: str, currency: str) -> None:
    """Texts and numbers, signs on either side or in the indicator, and a currency that says nothing is the account's."""
    entry = facts({**PLAIN, **fields})
    assert (entry.amount, entry.currency) == (Decimal(amount), currency)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"remittanceInformationUnstructured": "Miete Juni"}, "Miete Juni"),
        ({"remittanceInformationUnstructuredArray": ["Miete", "Juni"]}, "Miete Juni"),
        ({"remittanceInformationUnstructured": "", "remittanceInformationUnstructuredArray": ["Miete"]}, "Miete"),
        ({"remittanceInformationUnstructured": "Miete Juni", "remittanceInformationUnstructuredArray": ["Miete", "Juni"]}, "Miete Juni"),
        ({"remittanceInformationUnstructured": "Miete", "remittanceInformationUnstructuredArray": ["Miete", "Juni"]}, "Miete Juni"),
        ({"remittanceInformationUnstructured": "", "remittanceInformationStructured": "RF18"}, "RF18"),
        ({"remittanceInformationUnstructured": " ", "remittanceInformationStructured": {"reference": "RF18"}}, "RF18"),
        ({"remittanceInformationStructured": [{"reference": "RF18"}]}, "RF18"),
        ({"remittanceInformationStructuredArray": [{"reference": "RF18"}, {"reference": "X"}]}, "RF18 X"),
        ({"remittanceInformationStructuredArray": ["RF18", "SCOR"]}, "RF18 SCOR"),
        ({"remittanceInformationUnstructuredArray": [], "remittanceInformationStructuredArray": ["RF18"]}, "RF18"),
        ({"remittanceInformationUnstructuredArray": [""], "additionalInformation": "Karte 1"}, "Karte 1"),
        ({"remittanceInformationStructured": {"reference": ""}, "additionalInformation": "Karte 1"}, "Karte 1"),
        ({"remittanceInformationUnstructured": 4711}, "4711"),
        ({"remittanceInformationUnstructured": "NOTPROVIDED", "additionalInformation": "Karte 1"}, "Karte 1"),
        ({"remittanceInformationUnstructured": "A\u202eB\u0000C"}, "A B C"),
        ({"remittanceInformationUnstructured": ""}, None),
        ({"remittanceInformationUnstructured": {"no": "text"}, "additionalInformation": None}, None),
        ({"remittanceInformationUnstructured": "Miete", "additionalInformation": "sonst"}, "Miete"),
    ],
    ids=str,
)  # fmt: skip
def test_a_text_is_found_wherever_it_stands(fields: dict[str, Any], text: str | None) -> None:
    """Unstructured, its array, structured, its array, additional information; an empty one is none."""
    assert facts({**PLAIN, **fields}).remittance == text


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"transactionAmount": {"amount": "-4.20"}}, "Shop"),
        ({"transactionAmount": {"amount": "4.20"}}, "Payer"),
        ({"transactionAmount": {"amount": -4.2}}, "Shop"),
        ({"transactionAmount": {"amount": "4.20-"}}, "Shop"),
        ({"transactionAmount": {"amount": "\u22124.20"}}, "Shop"),
        ({"transactionAmount": {"amount": "4.20"}, "creditDebitIndicator": "debit"}, "Shop"),
        ({"transactionAmount": {"amount": "4.20"}, "creditDebitIndicator": "D"}, "Shop"),
        ({"transactionAmount": {"amount": "-4.20"}, "creditDebitIndicator": "CRDT"}, "Payer"),
    ],
    ids=str,
)  # fmt: skip
def test_payee_and_payer_go_by_the_sign(fields: dict[str, Any], name: str) -> None:
    """Money that leaves went to the creditor, wherever the sign is written."""
    sides = {
        "creditorName": "Shop",
        "creditorAccount": {"iban": "DE1"},
        "debtorName": "Payer",
        "debtorAccount": {"iban": "DE2"},
    }
    entry = facts({**PLAIN, **sides, **fields})
    assert (entry.counterparty_name, entry.counterparty_iban) == (name, {"Shop": "DE1", "Payer": "DE2"}[name])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (None, "amount-missing"), ([], "amount-missing"), ("x", "amount-missing"), ({}, "amount-missing"),
        ({**PLAIN, "transactionAmount": None}, "amount-missing"),
        ({**PLAIN, "transactionAmount": {"amount": "4.20 EUR"}}, "amount-format"),
        ({**PLAIN, "transactionAmount": {"amount": "1,234"}}, "amount-format"),
        ({**PLAIN, "transactionAmount": {"amount": True}}, "amount-format"),
        ({**PLAIN, "transactionAmount": {"amount": {"value": 1}}}, "amount-format"),
        ({**PLAIN, "transactionAmount": {"amount": "1", "currency": "EURO"}}, "currency-format"),
        ({**PLAIN, "transactionAmount": {"amount": "1", "currency": 978}}, "currency-format"),
        ({**PLAIN, "creditDebitIndicator": "maybe"}, "indicator"),
        ({**PLAIN, "creditDebitIndicator": 1}, "indicator"),
        ({"transactionAmount": {"amount": "1"}}, "date-missing"),
        ({"transactionAmount": {"amount": "1"}, "bookingDate": "06/10/2026"}, "date-format"),
    ],
    ids=str,
)  # fmt: skip
def test_an_unreadable_row_costs_only_itself(row: Any, reason: str) -> None:
    """It is quarantined with the reason; the rows beside it are read."""
    reader = RowReader(ReadingOptions(), IdQuality.STRONG, ("transactionId",), None)
    rows = reader.page({"booked": [PLAIN, row, PLAIN]}, ACCOUNT)
    entries = [read_transaction(each, "EUR", TODAY) for each in rows]
    assert [isinstance(entry, Transaction) for entry in entries] == [True, False, True]
    assert entries[1] == Quarantined(reason)


def test_no_currency_at_all_is_no_guess() -> None:
    """Where neither the row nor the account says one."""
    nameless = BankAccount("r", "k", "XXX")
    row = {**PLAIN, "transactionAmount": {"amount": "1", "currency": "XXX"}}
    assert read(row, account=nameless) == Quarantined("currency-unknown")


@pytest.mark.parametrize(
    ("body", "href"),
    [
        ({"transactions": {"_links": {"next": {"href": "/n"}}}}, "/n"),
        ({"transactions": {}, "_links": {"next": {"href": "/n"}}}, "/n"),
        ({"transactions": {"_links": {"account": {"href": "/a"}}}, "_links": {"next": "/n"}}, "/n"),
        ({"transactions": {"_links": {"next": "/n"}}}, "/n"),
        ({"transactions": {"_links": {"next": {"href": ""}}}, "_links": {"next": {"href": "/n"}}}, "/n"),
        ({"transactions": {"_links": None}, "_links": {}}, None),
        ({"transactions": {"_links": {"next": None}}, "_links": {"next": {"href": None}}}, None),
        ({"transactions": [], "_links": [1]}, None),
        ({"transactions": {"_links": {"first": {"href": "/1"}, "last": {"href": "/9"}}}}, None),
    ],
    ids=str,
)  # fmt: skip
def test_the_next_page_is_found_wherever_its_link_stands(body: dict[str, Any], href: str | None) -> None:
    """Inside the report's `_links` or at the top; as an object or a text; an empty one is none."""
    assert next_link(body) == href


@pytest.mark.parametrize("report", [{}, [], {"booked": None}, {"booked": [], "pending": None}], ids=str)
def test_no_entries_are_none(report: Any) -> None:
    """An empty report, however it is written, is read completely."""
    assert RowReader(ReadingOptions(), IdQuality.STRONG, ("transactionId",), None).page(report, ACCOUNT) == ()


@pytest.mark.parametrize("report", [None, "x", 7, [PLAIN], {"booked": {"0": PLAIN}}, {"pending": "none"}], ids=str)
def test_a_report_of_another_shape_is_malformed(report: Any) -> None:
    """It can't be taken for a complete list of nothing."""
    with pytest.raises(MalformedData):
        RowReader(ReadingOptions(), IdQuality.STRONG, ("transactionId",), None).page(report, ACCOUNT)


def test_one_unreadable_balance_costs_only_itself() -> None:
    """It is handed on as such, with its reason; a reference date that can't be read costs only the date."""
    good = {"balanceType": "closingBooked", "balanceAmount": {"amount": "7.00", "currency": "XXX"}}
    rows: list[Any] = [
        {**good, "balanceAmount": None},
        {**good, "referenceDate": "yesterday"},
        {"balanceType": "expected", "balanceAmount": {"currency": "EUR"}},
        {**good, "balanceAmount": {"amount": "7,00"}, "creditDebitIndicator": "dbit"},
        {**good, "balanceAmount": {"amount": 7, "currency": "EURO"}},
        None,
    ]
    now = datetime(2026, 6, 17, tzinfo=UTC)
    read_ = balances_of({"balances": rows}, ACCOUNT, now)
    missing = UnreadableBalance("amount-missing")
    assert read_ == [
        missing,
        Balance("closingBooked", Decimal("7.00"), "EUR", None, now),
        missing,
        Balance("closingBooked", Decimal("-7.00"), "EUR", None, now),
        UnreadableBalance("currency-format"),
        missing,
    ]


# The banks of §4.13 -----------------------------------------------------------------------------------------------


def ids(entry: Transaction | Quarantined | None) -> dict[str, str]:
    """Return the ids of an entry."""
    assert isinstance(entry, Transaction), entry
    return {each.namespace: each.value for each in entry.ids}


@pytest.mark.parametrize("bank", ["Belfius", "Nationwide"])
def test_a_bank_whose_ids_are_shared(bank: str) -> None:
    """`ignore_ids`: two entries under one id are two entries without an id."""
    assert ids(read({**PLAIN, "transactionId": "1", "endToEndId": "e"}, ignore_ids=True)) == {}
    assert ids(read({**PLAIN, "transactionId": "1"})) == {"transactionId": "1"}


def test_nordea_dk_shows_a_payment_twice() -> None:
    """`skip_ids`: the row under P… is a second showing of the one under H…, and is left out."""
    options: dict[str, Any] = {"skip_ids": ["P"]}
    assert ids(read({**PLAIN, "transactionId": "H100"}, **options)) == {"transactionId": "H100"}
    assert read({**PLAIN, "transactionId": "P100"}, **options) is None
    assert read(PLAIN, **options) is not None


def test_seb_kort_turns_the_sign() -> None:
    """`invert_amounts` of all: a purchase comes as a positive amount, and went to the creditor."""
    row = {
        **PLAIN,
        "transactionAmount": {"amount": "4.20", "currency": "SEK"},
        "creditorName": "Shop",
        "debtorName": "Me",
    }
    entry = facts(row, invert_amounts=True)
    assert (entry.amount, entry.counterparty_name) == (Decimal("-4.20"), "Shop")
    back = facts({**row, "transactionAmount": {"amount": "-4.20"}, "creditDebitIndicator": ""}, invert_amounts=True)
    assert back.amount == Decimal("4.20")


def test_nbg_turns_the_sign_of_what_is_pending() -> None:
    """`invert_amounts` of a status; booked ones stay."""
    options: dict[str, Any] = {"invert_amounts": {"statuses": ["pending"]}}
    assert facts(PLAIN, "pending", **options).amount == Decimal("4.20")
    assert facts(PLAIN, "booked", **options).amount == Decimal("-4.20")


@pytest.mark.parametrize(
    ("accounts", "turned"), [(["card"], True), (["KARTE"], True), (["r"], True), (["CACC"], False)]
)
def test_a_sign_may_be_turned_for_some_accounts(accounts: list[str], turned: bool) -> None:
    """By kind, by name or by resource id."""
    amount = facts(PLAIN, invert_amounts={"accounts": accounts}).amount
    assert amount == Decimal("4.20" if turned else "-4.20")


def test_sparebank_sr_keeps_its_stable_id_elsewhere() -> None:
    """`id_fields`: the id is in `proprietaryBankTransactionCode`; the others, new in each answer, are none."""
    row = {**PLAIN, "transactionId": "enc!!new", "proprietaryBankTransactionCode": "20260610-77"}
    assert ids(read(row, id_fields=["proprietaryBankTransactionCode"])) == {
        "proprietaryBankTransactionCode": "20260610-77"
    }


def test_the_order_of_the_id_fields_is_kept() -> None:
    """The best first."""
    row = {**PLAIN, "transactionId": "t", "entryReference": "e"}
    assert [*ids(read(row, id_fields=["entryReference", "transactionId"]))] == ["entryReference", "transactionId"]


@pytest.mark.parametrize("bank", ["Sparkasse", "BNP Paribas Fortis"])
def test_a_bank_that_fills_the_structured_array(bank: str) -> None:
    """No option is needed."""
    assert facts({**PLAIN, "remittanceInformationStructuredArray": ["REF 1", "Miete"]}).remittance == "REF 1 Miete"


@pytest.mark.parametrize(
    ("sent", "text", "amount"),
    [("-10.00", "billingAmount: 115.30", "-115.30"), ("10.00", "billingAmount: 1 115,30 SEK", "1115.30"),
     ("-10.00", "billingAmount: -115.30.", "-115.30"), ("-10.00", "nothing of the kind", "-10.00")],
)  # fmt: skip
def test_entercard_writes_the_billed_amount_into_the_text(sent: str, text: str, amount: str) -> None:
    """`billed_amount_after`: the amount is the one of the text, in the account's currency."""
    row = {**PLAIN, "transactionAmount": {"amount": sent, "currency": "USD"}, "remittanceInformationUnstructured": text}
    entry = facts(row, account=BankAccount("r", "k", "SEK"), billed_amount_after="billingAmount:")
    assert (entry.amount, entry.currency) == (Decimal(amount), "USD" if amount == sent else "SEK")


@pytest.mark.parametrize("bank", ["ING RO", "Commerzbank", "Danske"])
@pytest.mark.parametrize("value", ["NOTPROVIDED", "Not Provided", "not-provided", " ", "0", "000000"])
def test_a_bank_that_provides_no_id(bank: str, value: str) -> None:
    """A word that says so is no id."""
    assert ids(read({**PLAIN, "transactionId": value, "entryReference": value, "endToEndId": value})) == {}


def test_a_day_may_be_another_date_s() -> None:
    """`day_field` says which; where it has none, the usual order goes on."""
    row = {**PLAIN, "valueDate": "2026-06-12"}
    entry = facts(row, day_field="valueDate")
    assert (entry.day, entry.booking_date) == (JUNE_12, JUNE_10)
    assert facts(PLAIN, day_field="valueDate").day == JUNE_10


def test_status_words_of_a_bank() -> None:
    """The two lists of the standard are the two statuses."""
    assert facts(PLAIN, "booked").status is TransactionStatus.BOOKED
    assert facts(PLAIN, "pending").status is TransactionStatus.PENDING
