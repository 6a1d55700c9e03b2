"""`bankimport` in this process, on a queue and an SQLite file of the test's own."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from bankimport.cli import main


@dataclass(frozen=True)
class Answer:
    """What a command printed, and how it ended."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Answer]


@pytest.fixture
def operate(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; variables are beside those of the test's own queue and file."""

    def run(*arguments: str, **variables: str) -> Answer:
        own = {
            "REDIS_URL": redis_url,
            "BANK_SYNC_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/bank.db",
            "BANK_SYNC_ENVIRONMENT": "development",
            **variables,
        }
        monkeypatch.setattr(sys, "argv", ["bankimport", *arguments])
        capsys.readouterr()  # what the test itself has logged before
        with monkeypatch.context() as environment:
            for name, value in own.items():
                environment.setenv(name, value)
            try:
                code = main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0
            finally:
                structlog.reset_defaults()
        printed = capsys.readouterr()
        return Answer(code, printed.out, printed.err)

    return run
