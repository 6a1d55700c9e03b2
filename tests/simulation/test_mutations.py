"""The table of mutations keeps up with what it patches and names; running it is `make soak`'s."""

from pathlib import Path

import pytest

from tests.simulation.mutations import TABLES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("table", list(TABLES))
def test_each_rule_names_a_test_that_is_there(table: str) -> None:
    """A rule whose test was renamed or whose code has moved would go unnoticed until the next soak."""
    gone = []
    for rule, switched_off, node in TABLES[table]:
        path, _, name = node.partition("::")
        text = (ROOT / path).read_text() if (ROOT / path).is_file() else ""
        if f"def {name.partition('[')[0]}" not in text:  # of a whole module it has a test at least
            gone.append(f"{rule}: {node}")
        with switched_off():
            pass
    assert gone == []
