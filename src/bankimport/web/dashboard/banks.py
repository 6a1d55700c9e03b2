"""*Banks*: how each bank of the host's answers, what was asked of it, and how its connections are."""

from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web
from markupsafe import Markup

from bankimport.errors import InvalidRequest, Unavailable
from bankimport.models import BankActivity, Period, RequestOutcome
from bankimport.web.dashboard import forms
from bankimport.web.dashboard.chart import spark
from bankimport.web.dashboard.connections import HEALTHS
from bankimport.web.dashboard.visit import Visit

#: A bank, how it fails, and what to do.
Failing = tuple[BankActivity, str, str]
#: From this share of errors on a bank that answers is worth a look.
_MANY: Final = 0.05


async def show_banks(visit: Visit) -> web.Response:
    """Show the banks, those that fail first."""
    period = _period(forms.text(forms.asked(visit.request), "period"))
    banks = sorted(await visit.operations.get_banks(period), key=_place)
    failing = _failing(visit, banks)
    return await visit.show(
        "banks.html",
        "banks",
        visit.words("Banks"),
        heading=_bad(visit, banks, len(banks)) or _good(visit, banks, _PERIODS[period](visit)),
        failing=failing,
        banks=[(bank, _how(visit, bank), spark(bank.steps)) for bank in banks],
        types={name: getattr(bank, "name", "") for name, bank in visit.operations.banks.items()},
        period=period,
        periods={each: said(visit) for each, said in _PERIODS.items()},
        healths=HEALTHS,
        is_id=forms.is_id,
    )


_PERIODS: Final[dict[Period, Callable[[Visit], Markup]]] = {
    Period.HOUR: lambda visit: visit.words("the last hour"),
    Period.DAY: lambda visit: visit.words("the last 24 hours"),
    Period.WEEK: lambda visit: visit.words("the last 7 days"),
}


def _period(text: str | None) -> Period:
    if text is not None and text not in set(Period):
        raise InvalidRequest("/period", f"must be one of {', '.join(Period)}")
    return Period(text) if text else Period.DAY


def _place(bank: BankActivity) -> tuple[bool, float, str]:
    """Return where a bank stands in the list: those that fail, then by their share of errors."""
    return not bank.is_failing, -bank.failed_requests / max(bank.requests, 1), bank.name


async def failing(visit: Visit) -> tuple[str | None, list[Failing]]:
    """Return the sentence on the banks that fail, and each with what to do; None and nothing while none does, or while
    it can't be known."""
    try:
        banks = await visit.operations.get_failing_banks()
    except Unavailable:
        return None, []
    return _bad(visit, banks, len(visit.operations.banks)), _failing(visit, banks)


def _failing(visit: Visit, banks: Sequence[BankActivity]) -> list[Failing]:
    return [(bank, _how(visit, bank)[1], _what_to_do(visit, bank)) for bank in banks if bank.is_failing]


def _bad(visit: Visit, banks: Sequence[BankActivity], all_: int) -> str | None:
    """Return the sentence on those that fail; None where none does."""
    words, number = visit.words, visit.formats.number
    bad = [bank for bank in banks if bank.is_failing]
    if not bad:
        return None
    if len(bad) > 1 or bad[0].failing_since is None:
        return words("{bad} of {n} banks fail", bad=number(len(bad)), n=number(all_))
    return words.many(
        all_,
        "{bank} has failed for {span}",
        "1 of {n} banks fails: {bank}, for {span}",
        bank=bad[0].name,
        span=visit.formats.since(bad[0].failing_since),
        n=number(all_),
    )


def _good(visit: Visit, banks: Sequence[BankActivity], period: str) -> str:
    words = visit.words
    asked = sum(1 for bank in banks if bank.requests)
    if not banks:
        return words("No bank is configured")
    if not asked:
        return words("No bank was asked in {period}", period=period)
    number = visit.formats.number(asked)
    return words.many(asked, "The bank that was asked answers", "All {n} banks that were asked answer", n=number)


def _how(visit: Visit, bank: BankActivity) -> tuple[str, str]:
    """Return the shape and the words for how a bank is."""
    words = visit.words
    if bank.is_failing:
        at = visit.formats.at(bank.failing_since or visit.formats.now)
        match bank.last_error:
            case RequestOutcome.REFUSED:
                return "failed", words("Refuses us since {at}", at=at)
            case RequestOutcome.FAILED:
                return "failed", words("Answers with errors since {at}", at=at)
            case RequestOutcome.UNREADABLE:
                return "failed", words("Sends what can’t be read since {at}", at=at)
            case _:
                return "failed", words("Does not answer since {at}", at=at)
    if not bank.configured:
        return "gone", words("Not configured here: its connections can’t be read")
    if not bank.requests:
        return "waiting", words("Not asked in this time")
    if bank.failed_requests > _MANY * bank.requests:
        return "soon", words("Answers, with errors in between")
    return "active-conn", words("Answers")


def _what_to_do(visit: Visit, bank: BankActivity) -> str:
    words = visit.words
    match bank.last_error:
        case RequestOutcome.REFUSED:
            return words("Check its key, its certificate’s last day and our address: bankimport doctor does.")
        case RequestOutcome.UNREADABLE:
            return words("Report it to the bank; nothing that was read is lost.")
        case _:
            return words("Wait: every tick asks it again. Once it answers, retry its failed jobs; nothing is lost.")
