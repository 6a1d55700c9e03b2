"""One declaration for a script and its Python method: the signature is the script's argument list.

    class Transitions(Declared):
        @script(word)
        def fail_job(self, id: str, fence: str, message: str, delay: int) -> str: ...

is `lua/fail_job.lua` beside its module, in which `id`, `fence`, `message` and `delay` are locals of these types, and
`await transitions.fail_job(…)`, which returns what `word` makes of the answer. Bytes, `-1`, `""` and JSON are seen here
alone. The idea is Docket's (`_lua.py`).
"""

import asyncio
import inspect
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from pydantic_core import PydanticSerializationError, to_json

from bankimport.redis.instants import duration_ms, milliseconds

P = ParamSpec("P")
R = TypeVar("R")


class Carrier(Protocol):
    """Carries calls to Redis: `Scripts`."""

    async def call(
        self, script: "Script[..., Any]", args: Sequence[bytes], token: bytes, *, again: bool = False
    ) -> Any:
        """Run a script and return its answer."""

    def send(self, script: "Script[..., Any]", args: Sequence[bytes], token: bytes) -> "asyncio.Future[Any]":
        """Put a call into the line without waiting for it."""

    async def call_aside(
        self, behind: Sequence[Any] | None, seconds: float, script: "Script[..., Any]", args: Sequence[bytes]
    ) -> Any:
        """Run a script on the connection that is there for waits, behind a command that waits if there is one."""

    async def wait(self, answer: "asyncio.Future[Any]") -> Any:
        """Return the answer to a call in the line, within the deadline."""


def word(answer: bytes) -> str:
    """Return an answer that is a word."""
    return answer.decode()


def as_it_is(answer: Any) -> Any:
    """Return an answer as Redis gave it."""
    return answer


def pairs(flat: Sequence[Any]) -> "zip[tuple[Any, Any]]":
    """Return the pairs of a flat answer."""
    return zip(flat[::2], flat[1::2], strict=True)


def utf8(text: str) -> bytes:
    """Return a text as UTF-8; half a surrogate pair, which has no UTF-8, becomes a question mark."""
    return text.encode(errors="replace")


_JSON_TEXT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def compact(value: object) -> bytes:
    """Return a value as short JSON; pydantic's writer takes a quarter of the time, but no half surrogate pair."""
    try:
        return to_json(value)
    except PydanticSerializationError:
        return utf8(_JSON_TEXT(value))


def _number(value: float) -> bytes:
    return b"%d" % value


def _instant(value: datetime | None) -> bytes:
    return b"" if value is None else b"%d" % milliseconds(value)


_OR_NIL = "({0} ~= '' and tonumber({0}) or nil)"


#: How a Python type is written, and how Lua reads it.
_WAYS: dict[Any, tuple[Callable[[Any], bytes], str]] = {
    str: (utf8, "{}"),
    bytes: (bytes, "{}"),
    int: (_number, "tonumber({})"),
    int | None: (lambda value: b"" if value is None else _number(value), _OR_NIL),
    bool: (lambda value: b"1" if value else b"", "({} ~= '')"),
    timedelta: (lambda value: _number(duration_ms(value)), "tonumber({})"),
    datetime: (_instant, "tonumber({})"),
    datetime | None: (_instant, _OR_NIL),
}
_JSON = (compact, "cjson.decode({})")


class Script(Generic[P, R]):
    """A declared script; on an instance it is a `Bound`."""

    def __init__(self, signature: Callable[..., Any], decode: Callable[[Any], R], *, once: bool, joined: bool) -> None:
        self.name = signature.__name__
        #: the folder of its module, in which its text is
        self.room = signature.__module__.partition(".")[2].rpartition(".")[0].replace(".", "/")
        self.__doc__ = signature.__doc__
        self.decode = decode
        #: the answer is kept for a minute, so that a call whose reply was lost may be repeated
        self.once = once
        #: calls of it that stand beside each other in the line travel as one
        self.joined = joined
        self.signature = inspect.signature(signature)
        parameters = list(self.signature.parameters.values())[1:]
        ways = [_WAYS.get(parameter.annotation, _JSON) for parameter in parameters]
        self.writers = {parameter.name: way[0] for parameter, way in zip(parameters, ways, strict=True)}
        self.arguments = [
            (parameter.name, way[1].format(f"ARGV[at + {index}]" if joined else f"ARGV[{index}]"))
            for index, (parameter, way) in enumerate(zip(parameters, ways, strict=True), 1)
        ]

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[bytes]:
        """Return the arguments as they are sent, in the order of the signature."""
        if not kwargs and len(args) == len(self.writers):
            return [write(value) for write, value in zip(self.writers.values(), args, strict=True)]
        bound = self.signature.bind(None, *args, **kwargs)
        bound.apply_defaults()
        return [write(bound.arguments[name]) for name, write in self.writers.items()]

    def __get__(self, owner: "Declared", kind: type) -> "Bound[P, R]":
        bound = owner.__dict__[self.name] = Bound(self, owner.carrier)  # found there from now on
        return bound


class Bound(Generic[P, R]):
    """A script on its way."""

    __slots__ = ("_carrier", "_script")

    def __init__(self, script: Script[P, R], carrier: Carrier) -> None:
        self._script = script
        self._carrier = carrier

    def _token(self) -> bytes:
        return secrets.token_urlsafe(9).encode() if self._script.once else b""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the script.

        Raises:
            Unavailable: Redis can't be reached, or refuses.
        """
        sent = self._script.encode(args, kwargs)
        return self._script.decode(await self._carrier.call(self._script, sent, self._token()))

    async def again(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the script that may have been carried out before: the same question is given the same answer."""
        sent = self._script.encode(args, kwargs)
        return self._script.decode(await self._carrier.call(self._script, sent, self._token(), again=True))

    async def aside(self, behind: Sequence[Any] | None, seconds: float, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the script on the connection that is there for waits, within so many seconds; if there is a command that
        waits, as soon as that has its answer, in the same trip.

        Raises:
            Unavailable: Redis can't be reached, or refuses; the script may have been carried out.
        """
        sent = self._script.encode(args, kwargs)
        return self._script.decode(await self._carrier.call_aside(behind, seconds, self._script, sent))

    def soon(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Put the call into the line here and now; the answer may be awaited later."""
        return self._answer(self.send(*args, **kwargs))

    async def _answer(self, future: "asyncio.Future[Any]") -> R:
        return self._script.decode(await self._carrier.wait(future))

    def send(self, *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[Any]":
        """Put the call into the line without waiting for it; the future has the answer as Redis gave it."""
        return self._carrier.send(self._script, self._script.encode(args, kwargs), self._token())


class Declared:
    """A class whose methods are scripts."""

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier


def script(
    decode: Callable[[Any], R], *, once: bool = False, joined: bool = False
) -> Callable[[Callable[Concatenate[Any, P], R]], Script[P, R]]:
    """Declare a script by a method's signature; `decode` makes its answer of what Redis returns."""

    def declared(signature: Callable[Concatenate[Any, P], R]) -> Script[P, R]:
        return Script(signature, decode, once=once, joined=joined)

    return declared
