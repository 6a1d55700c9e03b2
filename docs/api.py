"""The Python surface as pages, from its signatures and docstrings: `make docs` writes them into the site.

griffe reads the sources without importing them. They are not in the checkout: each docstring would stand there twice.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "bankimport",
    "bankimport.providers",
    "bankimport.stores",
    "bankimport.testing",
    "bankimport.testing.contracts",
)
_HEADS = ("Args", "Raises", "Returns", "Yields", "Attributes")


def write_pages(folder: Path) -> list[Path]:
    """Write a page for each public package; return them."""
    loaded = griffe.load("bankimport", search_paths=[ROOT / "src"], resolve_aliases=True)
    folder.mkdir(parents=True, exist_ok=True)
    pages = []
    for name in PACKAGES:
        package: Any = loaded if name == "bankimport" else loaded[name.removeprefix("bankimport.")]
        page = folder / f"{name.replace('.', '-')}.md"
        page.write_text("\n".join(_package(name, package)) + "\n", encoding="utf-8")
        pages.append(page)
    return pages


def _package(name: str, package: Any) -> Iterator[str]:
    yield f"# `{name}`"
    yield ""
    yield from _words(package)
    public = sorted(str(each) for each in package.exports or ())
    yield " · ".join(f"[{each}](#{_anchor(each)})" for each in public)
    yield ""
    for each in public:
        yield from _thing(each, package[each])


def _thing(name: str, found: Any) -> Iterator[str]:
    yield f"## `{name}` {{ #{_anchor(name)} }}"
    yield ""
    thing = found.final_target if found.is_alias else found
    if thing.is_module:
        yield from _words(thing)
        return
    if thing.is_attribute:
        yield from _code(f"{name} = {thing.value}" if thing.value is not None else f"{name}: {thing.annotation}")
        yield from _words(thing)
        return
    if thing.is_function:
        yield from _code(_signature(name, thing))
        yield from _words(thing)
        return
    bases = ", ".join(str(base) for base in thing.bases)
    yield from _code(f"class {name}({bases})" if bases else f"class {name}")
    yield from _words(thing)
    members = {each: member for each, member in thing.all_members.items() if _is_public(each)}
    yield from _fields(members)
    for each, member in members.items():
        target = member.final_target if member.is_alias else member
        if target.is_function:
            yield f"### `{name}.{each}` {{ #{_anchor(name)}-{_anchor(each)} }}"
            yield ""
            yield from _code(_signature(each, target))
            yield from _words(target)


def _fields(members: dict[str, Any]) -> Iterator[str]:
    """Yield the fields of a class as a table, with the comment `#:` or the docstring that they have."""
    targets = {name: (each.final_target if each.is_alias else each) for name, each in members.items()}
    fields = {
        name: each for name, each in targets.items() if each.is_attribute and name not in ("model_config", "args")
    }
    if not fields:
        return
    yield "| field | type | default |"
    yield "|---|---|---|"
    for name, each in fields.items():
        given = each.value if "class-attribute" in each.labels or "module-attribute" in each.labels else None
        kind, value = _cell(each.annotation), _cell(given)
        yield f"| `{name}` | {kind} | {value} |"
    yield ""


def _cell(expression: object) -> str:
    text = " ".join(str(expression).split()).replace("|", "\\|") if expression is not None else ""
    return f"`{text if len(text) <= 60 else text[:57] + '…'}`" if text else ""


def _signature(name: str, function: Any) -> str:
    text = str(function.signature(name=name, return_type=True))
    asynchronous = "async " if "async" in function.labels else ""
    if len(text) > 90:
        head, _, rest = text.partition("(")
        inner, _, tail = rest.rpartition(")")
        text = head + "(\n    " + _split(inner) + "\n)" + tail
    return f"{asynchronous}def {text}"


def _split(parameters: str) -> str:
    """Put each parameter on a line; a comma within brackets separates none."""
    depth, out = 0, ""
    for letter in parameters:
        depth += letter in "([{"
        depth -= letter in ")]}"
        out += ",\n   " if letter == "," and depth == 0 else letter
    return out


def _code(text: str) -> Iterator[str]:
    yield "```text"
    yield text
    yield "```"
    yield ""


def _words(thing: Any) -> Iterator[str]:
    """Yield a docstring: its sections as lists, the rest as it stands."""
    text = thing.docstring.value if thing.docstring else ""
    within = False
    for line in text.splitlines():
        if (head := line.rstrip(":")) in _HEADS and line.endswith(":"):
            yield f"**{head}**"
            yield ""
            within = True
        elif within and re.match(r"    \S", line):
            yield "- " + re.sub(r"^(\w+(?:, \w+)*)(:|$)", r"`\1`\2", _escaped(line.strip()))
        else:
            within = within and bool(line.strip())
            yield ("  " if within else "") + _escaped(line.strip() if within else line)
    yield ""


def _escaped(line: str) -> str:
    """Let nothing outside of code be taken for HTML."""
    parts = line.split("`")
    return "`".join(part.replace("<", "&lt;") if at % 2 == 0 else part for at, part in enumerate(parts))


def _anchor(name: str) -> str:
    return name.replace("_", "-").lower()


def _is_public(name: str) -> bool:
    return not name.startswith("_")
