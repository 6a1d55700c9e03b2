"""What the reads of an account have taught, as two columns: the covered days, which a host may query, and the rest."""

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from bankimport.models import DayRead, Doubt, DoubtReason, IdWorth, Interval, Memory, TransactionStatus


def memory_columns(memory: Memory) -> dict[str, str]:
    """Return what is remembered as the values of its columns."""
    rest: dict[str, Any] = {
        "once": [[str(read.since), str(read.until), str(read.on)] for read in memory.once],
        "worth": {name: [w.agreed, w.disagreed, w.is_shared] for name, w in sorted(memory.worth.items())},
        "doubts": [[d.reason, d.status, str(d.day), str(d.amount), d.currency] for d in memory.doubts],
    }
    if memory.history is not None:
        rest["history"] = memory.history.days
    coverage = [[str(interval.since), str(interval.until)] for interval in memory.coverage]
    return {"coverage": json.dumps(coverage), "memory": json.dumps(rest)}


def memory_of(coverage: str, rest: str) -> Memory:
    """Return what is remembered of its columns."""
    told: dict[str, Any] = json.loads(rest)
    return Memory(
        tuple(Interval(_day(since), _day(until)) for since, until in json.loads(coverage)),
        tuple(DayRead(_day(since), _day(until), _day(on)) for since, until, on in told.get("once", ())),
        {name: IdWorth(agreed, not_, shared) for name, (agreed, not_, shared) in told.get("worth", {}).items()},
        tuple(
            Doubt(DoubtReason(reason), TransactionStatus(status), _day(day), Decimal(amount), currency)
            for reason, status, day, amount, currency in told.get("doubts", ())
        ),
        timedelta(days=told["history"]) if "history" in told else None,
    )


def _day(text: str) -> date:
    return date.fromisoformat(text)
