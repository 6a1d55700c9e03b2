"""Small random reads and stores, for properties: few days, few amounts, few ids, so that much collides."""

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from bankimport.models import BankId, IdQuality, RowStatus, StoredTransaction, Transaction, TransactionStatus

FIRST = date(2026, 4, 1)
DAYS = st.integers(0, 20).map(lambda n: FIRST + timedelta(days=n))
AMOUNTS = st.sampled_from(["-3.50", "-3.50", "-3.50", "9.99"]).map(Decimal)
CURRENCIES = st.sampled_from(["EUR"] * 9 + ["USD"])
NAMES = st.sampled_from([None, None, "Café Sol", "CAFÉ SOL", "REWE Markt", "Shell"])
TEXTS = st.sampled_from([None, "Karte Café Sol", "Karte  CAFÉ SOL ", "Karte REWE Markt 0815", "Karte REWE"])
Entries = st.SearchStrategy[Transaction]
BOOKED, PENDING, CANCELLED = TransactionStatus.BOOKED, TransactionStatus.PENDING, TransactionStatus.CANCELLED
STATUSES = st.sampled_from([BOOKED] * 6 + [PENDING] * 3 + [CANCELLED])


def bank_ids(values: int = 6) -> st.SearchStrategy[tuple[BankId, ...]]:
    """No id, one, or one in each of two namespaces; now and then a weak one."""
    strong = st.builds(BankId, st.just("a"), st.integers(1, values).map(lambda n: f"t{n}"))
    other = st.builds(BankId, st.just("b"), st.integers(1, values).map(lambda n: f"t{n}"))
    weak = st.builds(BankId, st.just("w"), st.integers(1, 3).map(str), st.just(IdQuality.WEAK))
    none: st.SearchStrategy[tuple[BankId, ...]] = st.just(())
    return st.one_of(none, none, st.tuples(strong), st.tuples(strong), st.tuples(strong, other), st.tuples(weak))


NOTHING: st.SearchStrategy[None] = st.none()
LINKS = st.builds(BankId, st.just("a"), st.sampled_from(["t1", "t2"]))


def entries(statuses: st.SearchStrategy[TransactionStatus], links: st.SearchStrategy[BankId | None]) -> Entries:
    """Entries of these states."""
    return st.builds(
        Transaction,
        status=statuses,
        day=DAYS,
        amount=AMOUNTS,
        currency=CURRENCIES,
        ids=bank_ids(),
        link=links,
        counterparty_name=NAMES,
        remittance=TEXTS,
    )


#: only what is booked links to a pending one
ENTRIES = st.one_of(entries(STATUSES, NOTHING), entries(st.just(BOOKED), st.one_of(NOTHING, LINKS)))
#: what a read that breaks off may have: a link says nothing there
NO_LINKS = entries(STATUSES, NOTHING)


@st.composite
def stores(draw: st.DrawFn, most: int = 6, *, deletes: bool = True) -> list[StoredTransaction]:
    """Some rows: booked, pending or ended, some of them missing, and some `deletes` of their user."""
    rows = []
    for n, entry in enumerate(draw(st.lists(ENTRIES.filter(lambda e: e.status is not CANCELLED), max_size=most))):
        status = RowStatus(entry.status.value)
        if status is RowStatus.PENDING and draw(st.integers(0, 4)) == 0:
            status = RowStatus.REMOVED
        missing = draw(st.sampled_from([0, 0, 0, 1, 2]))
        deleted = deletes and draw(st.integers(0, 9)) == 0
        rows.append(StoredTransaction(f"row-{n}", status, entry, missing, deleted))
    return rows
