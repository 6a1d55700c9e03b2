"""What an account has on a day, as rows in Berlin Group's shape, written as the bank's habits have it."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from bankimport.sandbox.bank import Served, served_of, stable_id, transaction_json
from bankimport.sandbox.counter import Refused, State
from bankimport.sandbox.misbehaviour import Kind
from bankimport.sandbox.people import Account
from bankimport.sandbox.writing import rewritten


def rows_of(state: State, account: Account, since: date | None, until: date | None) -> Sequence[Served]:
    """Return the account's entries of a window.

    Raises:
        Refused: the window begins too early, or nowhere.
    """
    today = state.clock.today()
    if since is None:
        raise Refused(Kind.FORMAT_ERROR)
    if since < today - state.history:
        raise Refused(Kind.PERIOD_INVALID)
    return served_of(account, since, until, today)


def page_of(state: State, consent: str, rows: Sequence[Served], page: int) -> tuple[Sequence[Served], int | None]:
    """Return the rows of a page (1 is the first) and the number of the next one."""
    kinds = state.switches.written(consent)
    size = state.page_size
    if Kind.EMPTY_PAGES in kinds:  # every second page has nothing, and one after it
        part = [] if page % 2 == 0 else rows[(page // 2) * size : (page // 2 + 1) * size]
        is_last = page % 2 == 1 and (page // 2 + 1) * size >= len(rows)
    else:
        part = rows[(page - 1) * size : page * size]
        is_last = page * size >= len(rows)
    if Kind.SAME_PAGE in kinds:
        return part, page
    return part, None if is_last else page + 1


def report_of(state: State, consent: str, rows: Sequence[Served], links: dict[str, Any]) -> dict[str, Any]:
    """Return an answer that has these rows and links, as the bank writes it."""
    state.answered += 1
    make_id = _ids(state, consent)
    report: dict[str, Any] = {"_links": links}
    for status in ("booked", "pending"):
        report[status] = [transaction_json(row, make_id) for row in rows if row.status == status]
    if state.switches.has(consent, Kind.REFERENCES):
        for row, served in zip(report["booked"], (each for each in rows if each.status == "booked"), strict=True):
            row["entryReference"] = reference_of(served)
    return rewritten({"transactions": report}, state.switches.written(consent))


def reference_of(served: Served) -> str:
    """Return the reference of a booked entry, which lasts."""
    return stable_id(f"reference/{served.entry.key}")


def _ids(state: State, consent: str) -> Callable[[str], str | None]:
    """Return how the bank makes ids: the same for ever, none, or new ones with every answer."""
    if state.switches.has(consent, Kind.NO_IDS):
        return lambda _: None
    if state.switches.has(consent, Kind.ROTATE_IDS):
        return lambda key: stable_id(f"{key}/{state.answered}")
    return stable_id
