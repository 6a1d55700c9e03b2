"""Cutting what is long into what fits."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def sliced(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the values in lists of at most `size`, without holding more than one of them."""
    iterator = iter(values)
    while part := list(islice(iterator, size)):
        yield part
