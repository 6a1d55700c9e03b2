"""The log's own configuration: what is ours, what is a host's, and what no renderer ever prints."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog

from bankimport import logs
from bankimport.settings import Settings

SECRET = "s3cret-token"


@contextmanager
def printing(*handlers: logging.Handler) -> Iterator[io.StringIO]:
    """Return standard error, in a process that has configured nothing but these handlers."""
    root, arq, stream = logging.getLogger(), logging.getLogger("arq.worker"), io.StringIO()
    before = list(root.handlers), list(arq.filters), sys.stderr
    root.handlers[:] = handlers
    structlog.reset_defaults()
    sys.stderr = stream
    try:
        yield stream
    finally:
        structlog.reset_defaults()
        root.handlers[:], arq.filters[:], sys.stderr = before


def fail() -> None:
    """Raise with a secret in the text and in a variable."""
    token = SECRET
    raise RuntimeError(f"refused {token}")


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_text_and_no_variable_of_an_exception(form: str) -> None:
    """An exception is told by its kind and place, with rich installed too. Red before: rich printed each variable."""
    with printing() as printed:
        logs.configure(Settings.load(log_format=form))
        try:
            fail()
        except RuntimeError:
            structlog.get_logger().exception("it.failed")
            logging.getLogger("another").exception("another library failed")
    told = printed.getvalue()
    assert SECRET not in told
    assert told.count("RuntimeError") == 2
    assert "test_logs.py" in told


def test_every_line_is_json() -> None:
    """Ours, arq's and other libraries' lines are JSON; what arq says of the start and end of a job is left out."""
    with printing() as printed:
        logs.configure(Settings.load(log_format="json", log_level="DEBUG"))
        structlog.get_logger().info("ours", job_id="j")
        arq = logging.getLogger("arq.worker")
        arq.setLevel(logging.INFO)
        arq.info("Starting worker for %d functions: %s", 2, "a, b")
        arq.info("%6.2fs → %s(%s)", 0.1, "id:sync", "token=x")
        logging.getLogger("another").warning("careful: access_token=%s", SECRET)
    lines: list[dict[str, Any]] = [json.loads(line) for line in printed.getvalue().splitlines()]
    assert [line["event"][:8] for line in lines] == ["ours", "Starting", "careful:"]
    assert SECRET not in printed.getvalue()


def test_a_hosts_structlog_is_left_alone() -> None:
    """A host that has configured structlog keeps its processors."""
    with printing() as printed:
        structlog.configure(processors=[lambda *_: "the host's"], logger_factory=structlog.PrintLoggerFactory(printed))
        logs.configure(Settings.load())
        structlog.get_logger().info("anything")
        assert not logging.getLogger().handlers
    assert printed.getvalue() == "the host's\n"


def test_a_hosts_root_logger_is_left_alone() -> None:
    """A host that has set up the standard library's logging keeps its handlers."""
    handler = logging.NullHandler()
    with printing(handler):
        logs.configure(Settings.load())
        assert logging.getLogger().handlers == [handler]
