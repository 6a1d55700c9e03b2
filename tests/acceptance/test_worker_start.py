"""The stock `arq` command refuses to start on a wrong configuration, and says which variable is wrong."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, clean_environment, free_port


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
    answer = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert answer.returncode != 0
    [line] = answer.stderr.splitlines()
    assert line.startswith(f"bankimport: {variable}: ")
    assert "s3cret" not in answer.stdout + answer.stderr


def test_a_redis_that_is_away_stops_the_worker(tmp_path: Path) -> None:
    """Without Redis `arq bankimport.WorkerSettings` ends with one line that says so. Red before: a traceback of arq's."""
    command = [str(Path(sys.executable).parent / "arq"), "bankimport.WorkerSettings"]
    environment = clean_environment(REDIS_PORT=str(free_port()), BANK_SYNC_LOG_LEVEL="ERROR")
    answer = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert answer.returncode != 0
    assert answer.stderr.splitlines()[-1].startswith("bankimport: Redis")
    assert "Traceback" not in answer.stderr


def test_a_module_of_the_hosts_that_fails(tmp_path: Path) -> None:
    """A host's module that can't be imported is named with the place, and its text, which may hold anything, is not."""
    (tmp_path / "my_app.py").write_text("raise RuntimeError('s3cret')\n")
    command = [str(Path(sys.executable).parent / "arq"), "bankimport.WorkerSettings"]
    environment = clean_environment(BANK_SYNC_APP="my_app:bank_import")
    answer = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    [line] = answer.stderr.splitlines()
    assert re.fullmatch(
        r"bankimport: BANK_SYNC_APP: my_app:bank_import can't be used: RuntimeError in .*my_app.py, line 1", line
    )


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        (
            {"REDIS_URL": "redis://127.0.0.1:1"},
            r"Redis at 127\.0\.0\.1:1 is not available: .* \(ConnectionRefusedError\)",
        ),
        ({"BANK_SYNC_LEASE_MS": "s3cret"}, "BANK_SYNC_LEASE_MS: a whole number is needed"),
        ({"BANK_SYNC_BANKS": '{"gateway": {"type": "s3cret"}}'}, "BANK_SYNC_BANKS: .*"),
    ],
)
def test_a_host_that_can_not_start(variables: dict[str, str], says: str, tmp_path: Path) -> None:
    """The README's host ends with one line that says what to mend. Red before: eighty lines of a traceback above it."""
    [program] = re.findall(r"```python\n(.*?web\.run_app.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "host.py").write_text(program)
    answer = subprocess.run(
        [sys.executable, "host.py"],
        env=clean_environment(**variables),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 1
    [line] = answer.stderr.splitlines()
    assert re.fullmatch(f"bankimport: {says}", line)
