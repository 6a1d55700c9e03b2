"""Asking the host who may do what. Only `True` lets in: any other answer is a refusal, and a wrong one is logged. What
else is asked of it is who is there."""

import asyncio
import inspect
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from aiohttp import web

from bankimport.logs import frames_of
from bankimport.web.given import Action, Authorize
from bankimport.web.problems import ProblemRaised, refuse

_log = structlog.get_logger(__name__)

T = TypeVar("T")

#: A host that hasn't answered by then is away.
LONGEST = timedelta(seconds=5)
#: Who is there is asked for in the middle of a call, which has two seconds for all.
SOON = timedelta(seconds=1)
_COME_AGAIN = timedelta(seconds=5)
_RIGHT = "authorize must return True to let in or False to refuse, and nothing else"


def check_authorize(authorize: object) -> None:
    """Refuse an `authorize` that can't be asked.

    Raises:
        TypeError: it is None, or no async function.
    """
    asked = authorize if inspect.isroutine(authorize) else getattr(authorize, "__call__", authorize)  # noqa: B004  # not whether it is callable, but what it calls
    if not (inspect.iscoroutinefunction(authorize) or inspect.iscoroutinefunction(asked)):
        raise TypeError(
            f"authorize must be an async function (request, action, org_id) -> bool, not {authorize!r}; "
            "for a demonstration there is bankimport.allow_all"
        )


async def ensure_allowed(request: web.Request, authorize: Authorize, action: Action, org_id: str | None) -> None:
    """Ask the host.

    Raises:
        ProblemRaised: 403, the host says no, or nothing that can be understood; 503, it failed or took too long.
        web.HTTPException: the host's own refusal (a 401, say), passed on.
    """
    answer = await _answer(request, authorize, action, org_id)
    if answer is True:
        return
    if answer is not False:
        _complain(answer, action)
    raise forbidden()


async def _answer(request: web.Request, authorize: Authorize, action: Action, org_id: str | None) -> object:
    try:
        return await ask_host("authorize", authorize(request, action, org_id), LONGEST, action=action)
    except web.HTTPException as raised:
        if raised.status >= 400:
            raise
        return raised  # an answer that is no refusal, such as a redirect to a login or a 200


async def ask_host(what: str, asked: Awaitable[T], longest: timedelta | None = None, **facts: str) -> T:
    """Return what a function of the host's answers.

    Raises:
        ProblemRaised: 503, it failed or took too long; the log has one line that names it.
        web.HTTPException: the host's own answer.
    """
    seconds = (longest or SOON).total_seconds()
    try:
        async with asyncio.timeout(seconds):
            return await asked
    except web.HTTPException:
        raise
    except TimeoutError:
        _log.error(f"web.{what}_too_slow", **facts, seconds=seconds)
    except Exception as error:
        _log.error(f"web.{what}_failed", **facts, error=type(error).__name__, frames=frames_of(error.__traceback__))
    raise refuse(503, "authorization-unavailable", "who may do this can't be found out now", retry_after=_COME_AGAIN)


def _complain(answer: Any, action: Action) -> None:
    if inspect.iscoroutine(answer):
        answer.close()  # it is never awaited, and Python would say so somewhere else
    waits = isinstance(answer, Awaitable)
    meaning = f"{_RIGHT}; this is a coroutine: await it in authorize" if waits else _RIGHT
    _log.error("web.authorize_wrong_answer", action=action, returned=type(answer).__name__, meaning=meaning)


def forbidden() -> ProblemRaised:
    """Return the exception that answers 403."""
    return refuse(403, "forbidden", "you may not do this here")
