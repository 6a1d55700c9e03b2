"""The stock `arq` command refuses to start on a wrong configuration, and says which variable is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import clean_environment


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BANK_SYNC_LEASE_MS", "s3cret"),
        ("REDIS_URL", "http://:s3cret@localhost"),
        ("BANK_SYNC_BANKS", '{"gateway": {"type": "s3cret"}}'),
        ("BANK_SYNC_APP", "no_such_module:app"),
        ("BANK_SYNC_DATABASE_URL", "s3cret"),
    ],
)
def test_a_wrong_setting_stops_the_worker(variable: str, value: str, tmp_path: Path) -> None:
    """`arq bankimport.WorkerSettings` ends at once, with one line that has the variable's name and not its value. Red
    before: thirty lines of a traceback came first."""
    command = [str(Path(sys.executable).parent / "arq"), "bankimport.WorkerSettings"]
    environment = clean_environment(**{variable: value})
    answer = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert answer.returncode != 0
    [line] = answer.stderr.splitlines()
    assert line.startswith(f"bankimport: {variable}: ")
    assert "s3cret" not in answer.stdout + answer.stderr
