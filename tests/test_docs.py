"""What the documentation says is true: generated parts are fresh, links lead somewhere, variables and routes exist."""

import importlib.util
import json
import re
import runpy
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml

import bankimport
import bankimport.providers
import bankimport.stores
import bankimport.testing
from bankimport import BankConnection, BankImport, Transient
from bankimport.cli.application import application
from bankimport.metrics import render
from bankimport.models import Alert, QueueHealth, QueueStats
from bankimport.settings import Settings
from bankimport.testing import EventRecorder, FakeBank, MemoryStore, run_until_idle
from tests.processes import ROOT, clean_environment

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: variables that begin like ours and belong to the examples
OTHERS = {"HOST_TOKENS", "HOST_PORT", "HOST_ADDRESS"}


def name_of(path: Path) -> str:
    """Name a page by its path in the checkout."""
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """The script that writes the generated parts."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_parts_are_fresh(generate: ModuleType) -> None:
    """Settings and commands are in the documentation as they are in the code; else: python docs/generate.py."""
    stale = [page for page in generate.PAGES if generate.render(text := (ROOT / page).read_text()) != text]
    assert stale == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link leads to a file that is there."""
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_variables_exist(page: Path) -> None:
    """A variable that the documentation names is one of the settings."""
    known = {str(field.validation_alias) for field in Settings.model_fields.values()} | OTHERS
    named = set(re.findall(r"\b(?:BANK_SYNC|REDIS|HOST)_[A-Z_]*[A-Z]\b", page.read_text()))
    assert sorted(named - known) == []


def test_the_tests_of_a_host_pass(tmp_path: Path) -> None:
    """What docs/how-to/test-your-service.md shows is a file of tests, and they pass."""
    page = (ROOT / "docs" / "how-to" / "test-your-service.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "test_host.py").write_text(code)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=200"]
    answer = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=250)
    assert answer.returncode == 0, answer.stdout
    assert "2 passed" in answer.stdout


@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq calls it
async def test_the_life_of_a_job(settings: Settings) -> None:
    """The events of docs/explanation/life-of-a-job.md are those of a job that goes well at the second try."""
    page = (ROOT / "docs" / "explanation" / "life-of-a-job.md").read_text()
    [told] = re.findall(r"<!-- life -->\n```text\n(.*?)```", page, re.DOTALL)
    bank, store = FakeBank(), MemoryStore(BankConnection(id="giro", org_id="acme", bank="b"))
    bank.accounts_answer = Transient("away")
    quick = settings.model_copy(update={"retry_delay_scale": 0.001})
    recorder = EventRecorder()

    def back(_: object) -> None:
        bank.accounts_answer = []

    async with BankImport(quick, banks={"b": bank}, store=store) as bank_import:
        bank_import.on("bank.*", recorder)
        bank_import.on("bank.job.retrying", back)
        job_id = await bank_import.schedule_immediate_sync("giro")
        await run_until_idle(bank_import, delayed=True)
        names = [event.name async for event in bank_import.follow(job_id)]
    assert [name for name in names if name != "bank.job.progress"] == told.split()


def test_every_error_code_is_told(generate: ModuleType) -> None:
    """docs/reference/job-results.md has each code that a run can end with, but for that of a person who says no."""
    assert set(generate.generate_jobs.classes()) - set(generate.generate_jobs.ERRORS) == {"not-granted"}


def test_no_reader_is_sent_to_what_they_do_not_have() -> None:
    """Neither documentation nor a public docstring names a file that only its authors have. Red before: ten did."""
    public = ["errors.py", "events.py", "settings.py", "retry.py", *("models", "ports", "app", "web", "testing")]
    files = [path for name in public for path in [ROOT / "src" / "bankimport" / name]]
    sources = [each for path in files for each in ([path] if path.is_file() else sorted(path.glob("*.py")))]
    missing = re.compile(r"(?<![\w-])banking\.md|\barq\.md|\bdesign(\.md| §)|\bhouse\.md")
    assert [name_of(path) for path in [*PAGES, *sources] if missing.search(path.read_text())] == []


def test_the_readme_is_short() -> None:
    """The README is read in five minutes."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def test_rules_and_dashboard_name_metrics_that_exist() -> None:
    """What docs/monitoring asks Prometheus for, and the table of docs/how-to/monitor.md, is what is told; else silence
    would look like health."""
    alert = Alert(code="failed", message="m", value=1, threshold=0, since=datetime.now(UTC))
    health = QueueHealth(is_healthy=False, is_paused=False, stats=QueueStats(), alerts=(alert,))
    told = render(health, datetime.now(UTC), {1: 1}).decode()
    families = {found[1] for found in re.finditer(r"^# TYPE (\S+)", told, re.MULTILINE)}
    families -= {name for name in families if name.endswith("_created")}  # the library's own, beside each counter
    exist = families | {f"{name}_{part}" for name in families for part in ("bucket", "sum", "count")}
    folder = ROOT / "docs" / "monitoring"
    rules = yaml.safe_load((folder / "alerts.yml").read_text())["groups"][0]["rules"]
    panels = json.loads((folder / "dashboard.json").read_text())["panels"]
    asked = [rule["expr"] for rule in rules] + [target["expr"] for panel in panels for target in panel["targets"]]
    named = set(re.findall(r"\bbankimport_\w+", " ".join(asked)))
    assert len(named) >= 15
    assert named - exist == set()
    page = set(re.findall(r"^\| `(bankimport_\w+)`", (ROOT / "docs/how-to/monitor.md").read_text(), re.MULTILINE))
    assert page - exist == set()
    assert families - page - set(re.findall(r"bankimport_\w+", (ROOT / "docs/reference/http.md").read_text())) == set()


def test_each_step_of_a_jobs_life_touches_keys() -> None:
    """Red before: the table was generated, and empty, when scripts began to have the names of keys spelled out."""
    rows = re.findall(
        r"^\| [^|]+ \| `(\w+)` \| (.*) \|$", (ROOT / "docs/explanation/queue.md").read_text(), re.MULTILINE
    )
    assert dict(rows).keys() >= {"enqueue_jobs", "claim_jobs", "complete_job"}
    assert [script for script, keys in rows if "`job:<id>`" not in keys] == []


def test_only_public_names_are_shown() -> None:
    """Documentation and examples import from the four public packages and from nothing deeper."""
    shown = [*PAGES, *sorted((ROOT / "examples").glob("*.py"))]
    deeper = re.compile(
        r"^(?:from|import) bankimport\.(?!providers |stores |testing |testing\.contracts )\S+", re.MULTILINE
    )
    assert {name_of(path): deeper.findall(path.read_text()) for path in shown if deeper.search(path.read_text())} == {}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "benchmarks" / "README.md"], ids=name_of)
def test_what_is_pasted_is_what_every_shell_takes(page: Path) -> None:
    """zsh, the shell of macOS, takes no comment at its prompt: an apostrophe in one swallows the lines below it, and what
    follows a command is its arguments. Nor does it take a `?` or a bracket without quotes. Red before for 20 lines."""
    fences = re.findall(r"^ *```(\w*)\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)
    for block in [text for kind, text in fences if kind in ("sh", "bash") or (not kind and "curl" in text)]:
        bare = re.sub(r"'[^']*'|\"(\\.|[^\"])*\"", "Q", block)
        assert not re.search(r"(^|\s)#|[?*\[]", bare), block


def commands() -> dict[str, Any]:
    """Return the commands by their words."""
    group: Any = typer.main.get_group(application)
    found = {name: group.get_command(None, name) for name in group.list_commands(None)}
    return found | {
        f"{name} {sub}": each for name, one in found.items() for sub, each in getattr(one, "commands", {}).items()
    }


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_exist(page: Path) -> None:
    """A command that stands in code is one, with the options that it is given."""
    known, text = commands(), page.read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```|`(bankimport [^`]+)`", text, re.DOTALL | re.MULTILINE)
    code = "\n".join(block or line for block, line in blocks)
    for words in re.findall(r"(?:^|\s)bankimport ([a-z][^\n|&;#]*)", code):
        first, second = (*words.split(), "")[:2]
        command = known.get(f"{first} {second}".strip(), known.get(first))
        assert command is not None, words
        assert not getattr(command, "commands", None) or second in ("", "…"), words
        options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
        assert set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", words)) <= options, words


def test_every_page_is_in_the_index() -> None:
    """docs/index.md leads to each page of the documentation."""
    index = (ROOT / "docs" / "index.md").read_text()
    pages = [page.relative_to(ROOT / "docs") for page in sorted((ROOT / "docs").rglob("*.md"))]
    assert [str(page) for page in pages if str(page) != "index.md" and f"({page})" not in index] == []


def test_the_readme_tells_every_target_of_the_makefile() -> None:
    """The commands the README gives are targets of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = set(re.findall(r"`?make ([a-z]+)", "\n".join(page.read_text() for page in PAGES)))
    assert told & {"demo", "serve", "test", "soak", "lint"} == {"demo", "serve", "test", "soak", "lint"}
    assert {word for word in told if f"`make {word}`" in (ROOT / "README.md").read_text()} <= targets


def test_the_site_is_built(tmp_path: Path) -> None:
    """`make docs` builds every page without a warning, needs no network, and asks a reader's browser for none."""
    build = runpy.run_path(str(ROOT / "docs" / "build.py"))
    names = build["main"].__globals__
    names.update(BUILD=tmp_path, SOURCE=tmp_path / "source", SITE=tmp_path / "site")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            patch.setenv(name, "http://127.0.0.1:1")
        assert build["main"]() == 0
    pages = [page.relative_to(ROOT).with_suffix(".html") for page in PAGES if page.name != "README.md"]
    assert [str(page) for page in pages if not (tmp_path / "site" / page).exists()] == []
    for package in (bankimport, bankimport.providers, bankimport.stores, bankimport.testing):
        page = tmp_path / "site" / "docs" / "reference" / "python" / f"{package.__name__.replace('.', '-')}.html"
        titles = set(re.findall(r"<h2[^>]*><code>(\w+)</code>", page.read_text()))
        assert set(package.__all__) - {"__version__"} - titles == set(), "each public name has its docstring there"
    loaded = re.compile(r"""<(?:script|link|img)[^>]*(?:src|href)=["']?https?://(?!zensical)""")
    assert [page.name for page in (tmp_path / "site").rglob("*.html") if loaded.search(page.read_text())] == []
    assert len((tmp_path / "site" / "llms.txt").read_text().splitlines()) > 40
