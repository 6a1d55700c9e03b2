"""The pages' words: every sentence has its German one, with the same values in it; what we don't know is escaped."""

import ast
import string
import zlib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from jinja2 import nodes

from bankimport.web.dashboard.connections import HEALTHS
from bankimport.web.dashboard.explanations import ALERTS, ERRORS, alert, error
from bankimport.web.dashboard.visit import RAIL, STATES, THEMES, TYPES, environment
from bankimport.web.dashboard.words import LANGUAGES, Words, catalogue, preferred

ROOM = Path(str(resources.files("bankimport.web.dashboard")))
SAYING = ("_", "words", "many")


def _of_templates() -> Iterator[str]:
    for path in (ROOM / "templates").glob("*.html"):
        tree = environment().parse(path.read_text("utf-8"))
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in SAYING:
                yield from (
                    each.value for each in call.args if isinstance(each, nodes.Const) and each.value is not None
                )


def _of_code() -> Iterator[str]:
    for path in ROOM.glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) in SAYING:
                yield from (each.value for each in call.args if isinstance(each, ast.Constant))


def sentences() -> set[str]:
    """Return every English sentence that the pages can say."""
    explained = [*ERRORS.values(), *ALERTS.values(), error("a-code-of-a-host")]
    tables = [
        *STATES.values(),
        *TYPES.values(),
        *THEMES,
        *(word for _, word, _ in RAIL),
        *(w for _, w in HEALTHS.values()),
    ]
    texts = [text for each in [*explained, alert("unknown")] for text in (each.what, each.do)]
    return {text for text in (*_of_templates(), *_of_code(), *tables, *texts) if isinstance(text, str)}


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_every_sentence_is_in_every_language(language: str) -> None:
    """A language has each sentence and each name that English has, with the same values, and nothing that is unused."""
    known = catalogue(language)
    wanted = sentences() | set(catalogue("en"))
    assert sorted(wanted - set(known)) == []
    assert sorted(set(known) - wanted) == []
    for english, other in known.items():
        if ":" not in english.split(" ")[0]:
            assert _fields(english) == _fields(other), english


def test_what_is_put_into_a_sentence_is_escaped() -> None:
    """Values and names that we don't know show as text."""
    words = Words("de")
    assert "<b>" not in words("{word}: {outcome}", word="<b>", outcome="{x}")
    assert words.named("outcome", "<script>{x}") == "&lt;script&gt;{x}"


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("fr, de;q=0.3, en;q=0.7", "en"),
        ("en;q=0.1,de;q=0.2", "de"),
        ("", "en"),
        ("de;q=..", "de"),
        ("*", "en"),
        (", ,;q=1,,", "en"),
    ],
)
def test_the_language_that_a_browser_asks_for(accepted: str, language: str) -> None:
    """The language that a browser prefers is taken, if we have it; whatever the header says, there is one."""
    assert preferred(accepted) == language


def test_the_pages_are_small() -> None:
    """Templates, words, style and script of the pages are at most 60 kB as a wheel packs them, and what a browser loads
    beside the page itself at most 8."""
    files = [path for path in ROOM.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    packed = [zlib.compress(path.read_bytes(), 6, -15) for path in files]
    assert sum(map(len, packed)) <= 60_000
    assert sum(len(zlib.compress(path.read_bytes(), 6)) for path in (ROOM / "static").iterdir()) <= 8_000
