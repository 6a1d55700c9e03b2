"""The table of mutations keeps up with what it replaces and names; running it is `make soak`'s."""

import pytest

from tests.queue.mutations import MUTATIONS, ROOT, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_what_a_mutation_names_exists(mutation: Mutation) -> None:
    """A safeguard whose text has changed, or whose test was renamed, would go unnoticed until the next soak."""
    assert (ROOT / mutation.file).read_text().count(mutation.text) == 1
    path, *names = mutation.test.split("::")
    text = (ROOT / path).read_text()
    assert [name for name in names if f" {name.partition('[')[0]}" not in text] == []
