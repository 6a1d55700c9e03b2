"""A bank's JSON, read within bounds: bytes while it is unpacked, memory and nesting before anybody walks through it."""

import json
import zlib
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from bankimport.errors import MalformedData
from bankimport.models import Scope

#: no number of a bank's has more; reading a whole one of many thousand digits takes quadratic time
_DIGITS: Final = 64
#: about what CPython takes for a value, in bytes: an object, a list, and whatever stands between two commas
_OBJECT, _LIST, _VALUE = 200, 64, 60
_NOT_WIDE, _NOT_WIDEST = bytes(range(0xC4)), bytes(range(0xF0))

Unpack = Callable[[bytes, int], bytes]


def unpacker(packed: str, scope: Scope) -> Unpack:
    """Return what unpacks the next bytes of a body to at most so many: a bomb is cut off while it is unpacked.

    Raises:
        MalformedData: the bank packs in a way that was not offered.
    """
    if packed in ("identity", ""):
        return lambda chunk, _: chunk
    if packed not in ("gzip", "deflate"):
        raise MalformedData("the bank packs its answer in a way that was not offered", scope=scope)
    inflate = zlib.decompressobj(47 if packed == "gzip" else 15)

    def unpack(chunk: bytes, most: int) -> bytes:
        try:
            return inflate.decompress(chunk, max(1, most))
        except zlib.error:
            raise MalformedData("the bank's packed answer can't be read", scope=scope) from None

    return unpack


def parsed(text: bytes, scope: Scope, *, memory: int, depth: int) -> Any:
    """Return the value. An object that has a key twice, with two values, is read as none: it could mean either.

    Raises:
        MalformedData: it is no JSON, or would take more `memory` or is nested deeper than we accept.
    """
    if _size(text) > memory:
        raise MalformedData("the bank's answer has more values than we accept", scope=scope)
    try:
        value = json.loads(
            text, parse_float=_decimal, parse_int=_integer, parse_constant=str, object_pairs_hook=_unambiguous
        )
    except (ValueError, RecursionError):
        raise MalformedData("the bank's answer is no JSON", scope=scope) from None
    if _is_deeper(value, depth):
        raise MalformedData(f"the bank's answer is nested more than {depth} deep", scope=scope)
    return value


def _size(text: bytes) -> int:
    """Return about how much memory a text takes while it is read: 3 MB of `{}` are a million objects, 368 MB with what
    was made of them. A text with one wide character is held in two or four bytes a character."""
    width = (
        1 if text.isascii() or not text.translate(None, _NOT_WIDE) else 4 if text.translate(None, _NOT_WIDEST) else 2
    )
    values = _OBJECT * text.count(b"{") + _LIST * text.count(b"[") + _VALUE * text.count(b",")
    return len(text) * (1 + 2 * width) + values


def _decimal(text: str) -> Decimal | str:
    """Return a number; one that no Decimal holds, like NaN, stays a text, which costs its row and no other."""
    try:
        return Decimal(text) if len(text) <= _DIGITS else text
    except InvalidOperation:
        return text


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= _DIGITS else text


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any] | None:
    value = dict(pairs)
    if len(value) != len(pairs) and any(value[name] != each for name, each in pairs):
        return None
    return value


def _is_deeper(value: Any, most: int) -> bool:
    """Return whether a value is nested deeper; level by level, without recursion."""
    level = [value]
    for _ in range(most + 1):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
