"""Words in the reader's language: the pages are written in English, and a catalogue has the others."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

from markupsafe import Markup, escape

LANGUAGES: Final = {"en": "English", "de": "Deutsch"}
_PREFERENCE = re.compile(r"\s*([a-zA-Z]{2})[-\w]*\s*(?:;\s*q=([\d.]{1,5}))?\s*")


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return a language's words: of sentences by the English one, of things with names of their own by `kind:name`."""
    text = resources.files(__package__).joinpath("catalogues", f"{language}.toml").read_text("utf-8")
    return {english: str(other) for english, other in tomllib.loads(text).items()}


class Words:
    """Says a sentence of ours in one language; what is put into it is escaped."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._words = catalogue(language)

    def __call__(self, english: str, /, **values: Any) -> Markup:
        """Return the sentence with its values."""
        return Markup(self._words.get(english, english)).format(**values)  # noqa: S704  # the sentences are ours, and `format` escapes

    def named(self, kind: str, name: str) -> Markup:
        """Return what a thing is called; the name itself, escaped, of one we don't know."""
        known = self._words.get(f"{kind}:{name}")
        return Markup(known) if known is not None else escape(name)  # noqa: S704  # the catalogue is ours

    def many(self, number: int, one: str, other: str, **values: Any) -> Markup:
        """Return the sentence for one or for several."""
        return self(one if number == 1 else other, **values)


def preferred(accepted: str) -> str:
    """Return the language that a browser asks for and we have; English if there is none."""
    found: list[tuple[float, int, str]] = []
    for position, part in enumerate(accepted.split(",")[:20]):
        match = _PREFERENCE.fullmatch(part)
        if match is not None and match[1].lower() in LANGUAGES:
            found.append((-_weight(match[2]), position, match[1].lower()))
    return min(found)[2] if found else "en"


def _weight(text: str | None) -> float:
    try:
        return float(text) if text is not None else 1.0
    except ValueError:
        return 0.0
