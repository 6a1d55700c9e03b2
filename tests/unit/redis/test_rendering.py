"""What a script's text leaves out, and what is made only when it is needed; all are texts that Redis takes."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

import bankimport
from bankimport.queue.transitions import Transitions
from bankimport.redis.declaring import Declared, Script
from bankimport.redis.rendering import render
from bankimport.settings import Settings

SOURCE = Path(bankimport.__file__).parent
SETTINGS = Settings.load(redis_url="redis://localhost:6379/0")
TEXTS = re.compile(r"'[^'\n]*'|--.*")
FIELDS = re.compile(r"(?<=\{)\w+(?= = )|(?<=, )\w+(?= = )|(?<=[\w\])])\.\w+")
DECLARED = re.compile(r"local function (\w+\([^)]*\))|local ([\w, ]+)|for ([\w, ]+) (?:in|=)|function(\([^)]*\))")
KNOWN = set(
    re.findall(
        r"\w+",
        """and break do else elseif end false for function if in local nil not or repeat return then true until while
        redis string math table cjson ipairs pairs tonumber tostring type error pcall unpack KEYS ARGV rare""",
    )
)
MADE = re.compile(r"^rare = function\(\)\n(.*?)^local made = \{(.*?)\}\n", re.MULTILINE | re.DOTALL)


def scripts() -> Iterator[Script[..., Any]]:
    """Yield every script that the package declares, in the modules beside its text."""
    for path in sorted(SOURCE.glob("**/lua/../*.py")):
        room = path.resolve().relative_to(SOURCE.parent).with_suffix("")
        for owner in vars(importlib.import_module(".".join(room.parts).removesuffix(".__init__"))).values():
            if isinstance(owner, type) and issubclass(owner, Declared):
                yield from (member for member in vars(owner).values() if isinstance(member, Script))


ALL = {f"{script.room}/{script.name}": script for script in scripts()}


def test_all_scripts_are_known() -> None:
    """None is left out below."""
    files = {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("lua/*.lua")}
    assert files == {f"{script.room}/lua/{script.name}.lua" for script in ALL.values()}


@pytest.mark.parametrize("name", ALL)
def test_redis_takes_it(redis_url: str, name: str) -> None:
    """It is Lua, and no function of it needs more than the sixty names of others that Lua allows one."""
    with redis.Redis.from_url(redis_url) as client:
        assert len(client.script_load(render(ALL[name], SETTINGS))) == 40


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_missing(name: str) -> None:
    """Each name that a text means is declared in it, or Lua's or Redis' own; Redis would say so only as it gets there."""
    text = TEXTS.sub("''", render(ALL[name], SETTINGS))
    declared = {name for names in DECLARED.findall(text) for name in re.findall(r"\w+", " ".join(names))}
    assert set(re.findall(r"(?<!\w)[A-Za-z_]\w*", FIELDS.sub("", text))) - declared - KNOWN == set()


@pytest.mark.parametrize("name", ALL)
def test_what_is_rare_is_called_by_its_maker_alone(name: str) -> None:
    """Outside of where it is made, no rare function's name stands without the call that makes it."""
    text = render(ALL[name], SETTINGS)
    if (made := MADE.search(text)) is None:
        return
    for entry in re.findall(r"(\w+) = \1", made[2]):
        assert f"local function {entry}(" in made[1] or f"{entry} = function(" in made[1]
        outside = text[: made.start()] + text[made.end() :]
        assert re.search(rf"(?<!rare\(\)\.)\b{entry}\b", re.sub(r"'[^'\n]*'|--.*", "", outside)) is None


def test_asking_makes_little() -> None:
    """What a person's wish for a scheduled job takes, and what a batch does, isn't made for each job that is asked for;
    what an end does isn't even there."""
    text = render(vars(Transitions)["enqueue_jobs"], SETTINGS)
    made = MADE.search(text)
    assert made is not None
    for name in ("bring_forward", "move", "leave", "load_job", "remove_record"):
        assert f"local function {name}(" in made[1]
        assert text.count(f"local function {name}(") == 1
    for name in ("create", "append", "next_serial"):
        assert f"local function {name}(" in text[: made.start()]
    assert "local function end_job" not in text
