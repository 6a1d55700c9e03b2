"""How amounts, instants and objects stand in a column: read back as they were, on every database."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import DateTime, Dialect, Numeric, String, Text, TypeDecorator
from sqlalchemy.types import TypeEngine


class Money(TypeDecorator[Decimal]):
    """An exact amount: NUMERIC where the database has it, decimal text in SQLite, whose numbers are binary floats."""

    impl = Numeric(28, 8)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column's type in this database."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(40))
        return dialect.type_descriptor(Numeric(28, 8))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Return the amount as the driver takes it."""
        return format(value, "f") if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Return the amount as it was given: NUMERIC's trailing zeros beyond the cents are gone."""
        if value is None:
            return None
        return Decimal(value) if dialect.name == "sqlite" else _shortened(value)


def _shortened(value: Decimal) -> Decimal:
    short = value.normalize()
    exponent = short.as_tuple().exponent
    return short.quantize(Decimal("0.01")) if isinstance(exponent, int) and exponent > -2 else short


class Instant(TypeDecorator[datetime]):
    """An aware instant, in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the instant in UTC; SQLite keeps no zone."""
        if value is None:
            return None
        at = value.astimezone(UTC)
        return at.replace(tzinfo=None) if dialect.name == "sqlite" else at

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the instant, aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_json = json.JSONEncoder(separators=(",", ":"), default=str).encode


class Json(TypeDecorator[Mapping[str, Any]]):
    """A JSON object as text: read back as it was, on every database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Any] | None, dialect: Dialect) -> str | None:
        """Return the object's text."""
        return None if value is None else _json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Return the object."""
        return None if value is None else json.loads(value)
