"""arq's payloads: written as JSON, read as JSON, or as pickle of plain values only.

arq pickles by default, so a host that enqueues with plain arq writes pickle; and who can write to Redis could then run
code in every worker (arq.md 14). The reader here builds plain values and dates, and refuses to import anything else.
"""

import io
import json
import pickle
from datetime import date, datetime
from typing import Any

_MOST = 1_000_000


class Undecodable(ValueError):
    """The payload is none that arq writes, or asks for more than plain values."""


def serialize(values: dict[str, Any]) -> bytes:
    """Return arq's payload as JSON."""
    return json.dumps(values, default=_encoded, separators=(",", ":")).encode()


def _encoded(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, BaseException):  # a result that is an exception: its kind alone (arq.md 14)
        return {"error": type(value).__name__}
    raise TypeError(f"{type(value).__name__} can't be a job's argument or result: plain JSON values are needed")


def deserialize(payload: bytes) -> dict[str, Any]:
    """Return the values of a payload: `t` try, `f` function, `a` and `k` arguments, `et` enqueue time in ms.

    Raises:
        Undecodable: it is neither JSON nor a pickle of plain values, or larger than a megabyte.
    """
    if len(payload) > _MOST:
        raise Undecodable("the payload is larger than a megabyte")
    try:
        values = _Plain(io.BytesIO(payload)).load() if payload[:1] == b"\x80" else json.loads(payload)
    except Undecodable:
        raise
    except Exception as error:  # pickle raises nearly anything on garbage
        raise Undecodable(f"the payload can't be read ({type(error).__name__})") from None
    if not isinstance(values, dict) or not {"f", "a", "k", "et"} <= values.keys():
        raise Undecodable("the payload is none of arq's")
    if not (isinstance(values["f"], str) and isinstance(values["k"], dict) and isinstance(values["et"], int)):
        raise Undecodable("the payload is none of arq's")
    return {"t": None, **values}


class _Plain(pickle.Unpickler):
    """Builds numbers, texts, lists and dicts, and dates; imports nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Allow dates alone."""
        allowed = {("datetime", "date"): date, ("datetime", "datetime"): datetime}
        if (module, name) not in allowed:
            raise Undecodable("the payload holds more than plain values")
        return allowed[module, name]
