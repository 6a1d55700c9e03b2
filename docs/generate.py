"""Write the parts of the documentation that are facts of the code: `python docs/generate.py`.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`. A test fails when a page is stale.
"""

import dataclasses
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from zoneinfo import ZoneInfo

import typer
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

sys.path.insert(0, str(Path(__file__).parent))  # this folder is no package
import generate_jobs
import generate_queue  # beside this file
import generate_scale

from bankimport.cli.application import application
from bankimport.providers import BerlinGroupOptions, EnableBankingOptions, GoCardlessOptions, Limits
from bankimport.settings import Settings
from bankimport.web.problem_types import PROBLEM_TYPES
from bankimport.web.table import PREFIX, ROUTES

ROOT = Path(__file__).parent.parent
PAGES = (
    "docs/reference/settings.md",
    "docs/reference/cli.md",
    "docs/reference/http.md",
    "docs/reference/providers.md",
    "docs/reference/redis-keys.md",
    "docs/explanation/queue.md",
    "docs/how-to/scale-out.md",
    "docs/how-to/redis-for-production.md",
    "docs/reference/job-results.md",
)
UNITS = {
    "_MS": ("ms", timedelta(milliseconds=1)),
    "_HOURS": ("hours", timedelta(hours=1)),
    "_DAYS": ("days", timedelta(days=1)),
}


def _unit(variable: str) -> tuple[str, timedelta]:
    return next((unit for suffix, unit in UNITS.items() if variable.endswith(suffix)), ("", timedelta(seconds=1)))


def _show(value: object, variable: str) -> str:
    if isinstance(value, timedelta):
        return str(value // _unit(variable)[1])
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, ZoneInfo):
        return value.key
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value in (None, (), {}) else str(value)


def _bounds(field: FieldInfo, variable: str) -> str:
    if get_origin(field.annotation) is Literal:
        return " · ".join(get_args(field.annotation))
    if field.annotation is bool:
        return "true · false"
    found: dict[str, Any] = {}
    for rule in field.metadata:
        for name in ("ge", "gt", "le"):
            if (limit := getattr(rule, name, None)) is not None:
                found[name] = _show(limit, variable)
    low = found.get("ge") or (f"over {found['gt']}" if "gt" in found else "")
    high = found.get("le", "")
    return f"{low} to {high}" if low and high else f"{low} or more" if low else ""


def settings() -> Iterator[str]:
    """Yield the lines of the table of the environment variables."""
    yield "| variable | default | range | meaning |"
    yield "|---|---|---|---|"
    for field in Settings.model_fields.values():
        variable = str(field.validation_alias)
        default = _show(field.get_default(call_default_factory=True), variable)
        unit = _unit(variable)[0]
        shown = f"`{default}`" if default else ""
        cells = [f"`{variable}`", f"{shown} {unit}".strip(), _bounds(field, variable), field.description or ""]
        yield f"| {' | '.join(cells)} |"


def _commands() -> Iterator[str]:
    """Yield every command, those of groups with their group's name."""
    yield ""
    group = typer.main.get_group(application)
    for name in group.list_commands(None):
        command: Any = group.get_command(None, name)
        names = list(getattr(command, "commands", ()))
        yield from (f"{name} {each}" for each in names) if names else (name,)


#: asks each command for its help: one process for all, since most of its time goes into the imports
_HELP = """
import contextlib, io, json, sys
from bankimport.cli.application import application

said = []
for command in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        application([*command.split(), "--help"], prog_name="bankimport")
    said.append(printed.getvalue())
print(json.dumps(said))
"""


def command_line() -> Iterator[str]:
    """Yield the help of each command, as it is printed."""
    environment = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PATH": str(Path(sys.executable).parent)}
    commands = [*_commands()]
    asking = [sys.executable, "-c", _HELP, json.dumps(commands)]
    answer = subprocess.run(asking, env=environment, capture_output=True, text=True, check=True)
    for command, said in zip(commands, json.loads(answer.stdout), strict=True):
        yield f"## `{f'bankimport {command}'.strip()}`"
        yield ""
        yield "```text"
        yield from (line.rstrip() for line in said.strip().splitlines())
        yield "```"
        yield ""


def options_of(model: type[BaseModel]) -> Callable[[], Iterator[str]]:
    """Return what yields the lines of the table of a provider's options."""

    def lines() -> Iterator[str]:
        yield "| option | default | meaning |"
        yield "|---|---|---|"
        fields = sorted(model.model_fields.items(), key=lambda item: not item[1].is_required())
        for name, field in fields:
            default = field.get_default(call_default_factory=True)
            if isinstance(default, timedelta):
                name, default = f"{name}_days", default.days
            shown = "see below" if name == "limits" else "" if callable(default) else _json(default)
            if get_origin(field.annotation) is Literal:
                shown += f" ({' · '.join(get_args(field.annotation))})"
            yield f"| `{name}` | {'required' if field.is_required() else shown} | {field.description} |"

    return lines


def _json(value: object) -> str:
    return "" if value is PydanticUndefined else f"`{json.dumps(value)}`"


def limits() -> Iterator[str]:
    """Yield the lines of the table of what is accepted of a bank."""
    yield "| limit | default |"
    yield "|---|---|"
    for field in dataclasses.fields(Limits):
        default = field.default
        shown = f"PT{default.total_seconds():g}S" if isinstance(default, timedelta) else default
        yield f"| `{field.name}` | `{shown}` |"


def routes() -> Iterator[str]:
    """Yield the lines of the table of the routes."""
    yield "| route | needs | answer |"
    yield "|---|---|---|"
    for route in ROUTES:
        path = route.path.replace(PREFIX, "…")
        query = f"?{'&'.join(f'{name}=' for name in route.query)}" if route.query else ""
        fields = ", ".join(_field(name, each) for name, each in _shown(route.body).items()) if route.body else ""
        body = f" body `{{{fields}}}`" if fields else ""
        summary = (inspect.getdoc(route.handle) or "").split("\n")[0]
        yield f"| `{route.method} {path}{query}`{body} | {route.action} | {route.status}: {summary} |"


def _shown(model: type[BaseModel] | None) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()} if model else {}


def _field(name: str, field: FieldInfo) -> str:
    return name if field.is_required() else f"{name}?"


def problems() -> Iterator[str]:
    """Yield the lines of the table of the problems."""
    yield "| status | code | |"
    yield "|---|---|---|"
    for each in PROBLEM_TYPES.values():
        yield f"| {each.status} | `{each.code}` | {each.help} |"


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "settings": settings,
    "command line": command_line,
    "berlin group": options_of(BerlinGroupOptions),
    "enable banking": options_of(EnableBankingOptions),
    "gocardless": options_of(GoCardlessOptions),
    "limits": limits,
    "redis keys": generate_queue.redis_keys,
    "states": generate_queue.states,
    "life": generate_queue.life,
    "error codes": generate_jobs.error_codes,
    "sync result": generate_jobs.sync_result,
    "account result": generate_jobs.account_result,
    "consents result": generate_jobs.consents_result,
    "figures": generate_scale.figures,
    "memory": generate_scale.memory_table,
    "sizes": generate_scale.sizes,
    "routes": routes,
    "problems": problems,
}


def render(text: str) -> str:
    """Return `text` with each generated part made anew."""

    def part(found: re.Match[str]) -> str:
        body = "\n".join(PARTS[found["name"]]()).strip()
        return f"<!-- generated: {found['name']} -->\n{body}\n<!-- end -->"

    return re.sub(r"<!-- generated: (?P<name>[\w ]+) -->\n.*?<!-- end -->", part, text, flags=re.DOTALL)


if __name__ == "__main__":
    for page in PAGES:
        path = ROOT / page
        path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")
