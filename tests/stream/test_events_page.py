"""docs/reference/events.md is what the models say."""

import importlib.util

from bankimport.events import EVENTS
from tests.processes import ROOT


def test_the_page_is_fresh() -> None:
    """The page is generated from the models as they are; else: python docs/generate_events.py."""
    spec = importlib.util.spec_from_file_location("generate_events", ROOT / "docs" / "generate_events.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = module.PAGE.read_text(encoding="utf-8")
    assert page == module.render()
    assert [name for name in EVENTS if f"## `{name}`" not in page] == []
