"""The house rules that a machine can check."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from bankimport.redis.rendering import INCLUDE

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "bankimport"
MODULES = sorted(SOURCE.rglob("*.py"))
SCRIPTS = sorted(SOURCE.rglob("*.lua"))
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PUBLIC = ("bankimport", "bankimport.providers", "bankimport.stores", "bankimport.testing")

LONGEST_MODULE = 250
#: modules that may be longer: how long, and why
LONGER = {
    "src/bankimport/errors.py": (420, "the tree of errors is drawn and listed in one place"),
    "src/bankimport/events.py": (320, "every event and its fields, from which a page is made"),
    "src/bankimport/__init__.py": (410, "every public name, once for a checker and once for `__all__`"),
    "src/bankimport/service/connections.py": (
        400,
        "what a host may wish of connections: short methods, long docstrings",
    ),
    "src/bankimport/providers/gocardless.py": (270, "one port and what its consents need, short methods"),
    "src/bankimport/testing/memory_store.py": (350, "a store's ports, a few lines each"),
    "src/bankimport/settings.py": (400, "the table of all variables"),
    "src/bankimport/testing/contracts/store.py": (
        350,
        "the contract of a store: a short test for each of its promises",
    ),
    "src/bankimport/stores/sql/store.py": (420, "one port, one class: a short method for each of its promises"),
}
LONGEST_FUNCTION = 40


def name_of(path: Path) -> str:
    """Name a parametrised file by its path in the checkout."""
    return str(path.relative_to(ROOT))


def tracked() -> list[Path]:
    """Return the files git knows, that still exist."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for line in listed.stdout.splitlines() if (path := ROOT / line).is_file()]


def test_imports_point_only_downwards() -> None:
    """The layers and the other contracts of pyproject.toml hold."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_short(path: Path) -> None:
    """A module has at most 250 lines, but for the few that say why."""
    limit, _ = LONGER.get(name_of(path), (LONGEST_MODULE, ""))
    lines = len(path.read_text().splitlines())
    assert lines <= limit


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_function_is_short(path: Path) -> None:
    """A function's body, without its docstring, has fewer than 40 lines; a migration is a list of statements."""
    if path.parent.name == "versions":
        return
    functions = [n for n in ast.walk(_parsed(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {function.name: length for function in functions if (length := _length(function)) >= LONGEST_FUNCTION}
    assert long == {}


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text())
    except SystemError:  # CPython 3.11 miscounts its depth now and then: github.com/python/cpython/issues/106905
        return ast.parse(path.read_text())


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1


def test_nothing_is_called_after_nothing() -> None:
    """No module or folder is called utils, helpers, common, base or manager."""
    hollow = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
    assert [name_of(path) for path in MODULES if hollow & {part.removesuffix(".py") for part in path.parts}] == []


def test_an_ignored_rule_has_a_code_and_a_reason() -> None:
    """Each `# noqa` and `type: ignore` names its rule, and a second comment says why."""
    mark = re.compile(r"#\s*(noqa|type:\s*ignore)(?P<code>:\s*[A-Z]+\d+|\[[\w-]+)?(?P<rest>.*)")
    bare = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in MODULES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (found := mark.search(line)) and not (found["code"] and re.search(r"(#|-)\s*\w+", found["rest"]))
    ]
    assert bare == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_a_script_has_a_header(path: Path) -> None:
    """A Lua script begins with a comment that says what it does and returns, a piece of them with one that says what is
    in it; none is long, and none makes a key's name itself."""
    header, text = "\n".join(_header(path)), path.read_text()
    is_piece = path.parent.name == "lib"
    assert re.sub(r"^-- @include.*$", "", header, flags=re.MULTILINE).strip()
    assert is_piece or "Returns" in header
    assert len(text.splitlines()) <= 120
    assert re.findall(r"\bP \.\.", text) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_a_script_includes_what_stands_beneath(path: Path) -> None:
    """A piece of another room is included only where that room may be imported, too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    depth = {room: number for number, layer in enumerate(layers) for room in re.findall(r"\w+", layer)}
    own = depth[path.relative_to(SOURCE).parts[0]]
    others = [room.split("/")[0] for room, _ in INCLUDE.findall(path.read_text()) if room]
    assert [room for room in others if depth[room] <= own] == []


def _header(path: Path) -> Iterator[str]:
    for line in path.read_text().splitlines():
        if not line.startswith("--"):
            return
        yield line


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_public_is_listed(name: str) -> None:
    """`__all__` is complete, names nothing twice, and every name in it is there."""
    module = importlib.import_module(name)
    listed = list(module.__all__)
    assert len(set(listed)) == len(listed)
    made_of_the_environment = {"WorkerSettings"}
    assert [each for each in listed if each not in made_of_the_environment and not hasattr(module, each)] == []
    assert sorted(set(_defined(module, name)) - set(listed)) == []


def _defined(module: ModuleType, name: str) -> Iterator[str]:
    tree = _parsed(Path(str(module.__file__)))
    lazily = [node for each in tree.body if isinstance(each, ast.If) for node in each.body]  # if TYPE_CHECKING:
    for node in [*tree.body, *lazily]:
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{name}."):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_an_example_is_run_by_a_test(path: Path) -> None:
    """Each program in examples/ is named by a test that runs it."""
    tests = [test for test in (ROOT / "tests").rglob("*.py") if test.name != "test_architecture.py"]
    assert any(path.name in test.read_text() or f"examples.{path.stem}" in test.read_text() for test in tests)


@pytest.mark.parametrize("path", DECISIONS, ids=name_of)
def test_a_decision_is_a_page(path: Path) -> None:
    """A decision tells context, decision and consequences, on a page, and the index of the documentation knows it."""
    text = path.read_text()
    assert [part for part in ("**Context.**", "**Decision.**", "**Consequences.**") if part not in text] == []
    assert len(text.splitlines()) <= 80
    assert f"decisions/{path.name}" in (ROOT / "docs" / "index.md").read_text()


def test_decisions_are_numbered() -> None:
    """The decisions are numbered from 0001 on, without a gap."""
    assert [path.name[:4] for path in DECISIONS] == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]


def test_no_lock_file_and_no_registry() -> None:
    """No file fixes what a registry serves, or names one."""
    locks = {"uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock", "package-lock.json", "yarn.lock", "pnpm-lock.yaml"}
    hosts = re.compile("|".join(["py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.", "deb" + r"ian\.org"]))
    assert [name_of(path) for path in tracked() if path.name in locks] == []
    texts = [path for path in tracked() if path.suffix not in {".png", ".gz", ".ico"}]
    assert [name_of(path) for path in texts if hosts.search(path.read_text(errors="replace"))] == []


def test_every_dependency_has_its_line() -> None:
    """docs/dependencies.md tells what each dependency is for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = list(project["project"]["dependencies"])
    for group in project["project"]["optional-dependencies"].values():
        wanted += group
    for group in project["dependency-groups"].values():
        wanted += [entry for entry in group if isinstance(entry, str)]
    names = {re.split(r"[\[<>=]", requirement)[0] for requirement in wanted} - {"bankimport"}
    told = (ROOT / "docs" / "dependencies.md").read_text()
    assert sorted(name for name in names if not re.search(rf"`{re.escape(name)}[`\[]", told)) == []
