"""Logging of the worker command and the command line; the library itself never configures it.

Every line goes through one chain, arq's and other libraries' too: secrets are taken out, an exception is told by its
kind and place and never by its text or the values of its variables, and JSON means that each line is JSON.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

import structlog

from bankimport.redaction import redact
from bankimport.settings import Settings

#: arq's own; their level and handlers are set by its command after our settings were imported, their filters are not.
_ARQ = ("arq.worker", "arq.jobs", "arq.connections", "arq.main")
#: What arq says of the start and the end of a job: `job.started` and `job.finished` say more.
_OF_JOBS = ("→", "←", "↻", "⊘", "Retrying")

Line = MutableMapping[str, Any]


def mask_exception(_: object, __: str, line: Line) -> Line:
    """Tell an exception by its kind and its place: its text and its variables may hold anything."""
    found = line.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        line.setdefault("error", type(error).__name__)
        line.setdefault("frames", frames_of(error.__traceback__))
    line.pop("exception", None)
    line.pop("stack_info", None)
    return line


def frames_of(trace: TracebackType | None) -> list[str]:
    """Return the last eight frames of a traceback: code, never values."""
    return [f"{each.filename}:{each.lineno} {each.name}" for each in traceback.extract_tb(trace)[-8:]]


def take_out_secrets(_: object, __: str, line: Line) -> Line:
    """Redact what must not be in a log."""
    return {name: redact(value, name) for name, value in line.items()}


def configure(settings: Settings) -> None:
    """Log to standard error: lines for a person, or JSON for a machine (`BANK_SYNC_LOG_FORMAT`).

    A host that has configured structlog itself is left alone, and so are the handlers of its root logger.
    """
    if structlog.is_configured() and not _is_ours():
        return
    level = logging.getLevelNamesMapping()[settings.log_level]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(default=str)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    chain: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_exception,
        take_out_secrets,
    ]
    structlog.configure(
        processors=[*chain, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Printers(),
        cache_logger_on_first_use=True,
    )
    handler = _Handler(level)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *chain],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, take_out_secrets, renderer],
        )
    )
    _take(handler)


class _Printers:
    """Our factory of loggers, by which a configuration is known as ours."""

    def __call__(self, *_: Any) -> structlog.PrintLogger:
        return structlog.PrintLogger(sys.stderr)


def _is_ours() -> bool:
    return isinstance(structlog.get_config()["logger_factory"], _Printers)


class _Handler(logging.StreamHandler[Any]):
    """Writes the lines of other libraries."""

    def __init__(self, level: int) -> None:
        super().__init__(sys.stderr)
        self.setLevel(level)


class _Detour(logging.Filter):
    """Sends what a logger of arq's is told through our handler, and nowhere else."""

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__()
        self._handler = handler

    def filter(self, record: logging.LogRecord) -> bool:
        """Handle the record here; it goes no further."""
        if not any(mark in str(record.msg) for mark in _OF_JOBS) and record.levelno >= self._handler.level:
            self._handler.handle(record)
        return False


def _take(handler: _Handler) -> None:
    """Let other libraries' lines go through our handler; the root's only if nobody has set it up."""
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _Handler)]:
        root.removeHandler(old)
    if not root.handlers:
        root.addHandler(handler)
    for name in _ARQ:
        logger = logging.getLogger(name)
        for filter_ in [each for each in logger.filters if isinstance(each, _Detour)]:
            logger.removeFilter(filter_)
        logger.addFilter(_Detour(handler))


def hush_arq() -> None:
    """Let arq make no more lines of what goes well: it runs no job itself, and would say at its end that none was done.
    Called once its command, which sets its levels anew, has begun; a host's own configuration is left alone."""
    logger = logging.getLogger("arq.worker")
    if any(isinstance(each, _Detour) for each in logger.filters):
        logger.setLevel(max(logger.getEffectiveLevel(), logging.WARNING))
