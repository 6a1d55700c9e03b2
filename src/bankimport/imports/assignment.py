"""The cheapest way to give away as much as possible: a bipartite matching between nodes with counts.

Successive shortest paths with potentials (Edmonds and Karp 1972; Tomizawa 1971), one source at a time: Dijkstra over
reduced costs from what is left over to the nearest free taker, along edges that are made only where the search comes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

#: what it costs to leave one unit unmatched: more than any way to match it
UNMATCHED: Final = 10**18
#: from so many nodes on, what a failed search has seen is not searched again
_LARGE: Final = 64

Edges = Callable[[int], Sequence[tuple[int, int]]]


@dataclass(slots=True)
class _Path:
    """A search: how far sources and takers are, over which of the others, and the best end so far: a taker, or -1 with
    the source that stays unmatched instead."""

    dist: dict[int, int]
    best: int
    giver: int
    end: int = -1
    seen: dict[int, int] = field(default_factory=dict)
    came_from: dict[int, int] = field(default_factory=dict)
    came_over: dict[int, int] = field(default_factory=dict)


class Assignment:
    """`supply[i]` units of source i go to at most `demand[j]` of taker j, at the cost of the edge (not negative).

    `paired` are units matched beforehand over edges that cost nothing. The outcome matches the most units, and of all
    such outcomes is one of the cheapest; equal ones are decided by the order of the nodes.
    """

    def __init__(
        self, supply: Sequence[int], demand: Sequence[int], edges: Edges, paired: Mapping[tuple[int, int], int]
    ) -> None:
        self._left, self._free = list(supply), list(demand)
        self._make, self._edges = edges, dict[int, Sequence[tuple[int, int]]]()
        self._out, self._in = [0] * len(supply), [0] * len(demand)  # the potentials
        self._holders: list[dict[int, int]] = [{} for _ in demand]
        self._dead: set[int] = set()
        for (source, taker), units in paired.items():
            self._holders[taker][source] = units
            self._left[source] -= units
            self._free[taker] -= units

    def solve(self) -> dict[tuple[int, int], int]:
        """Return how many units go from which source to which taker."""
        for source, left in enumerate(self._left):
            while left:
                left -= self._push(source, left)
        return {(i, j): n for j, holders in enumerate(self._holders) for i, n in holders.items() if n}

    def _edges_of(self, source: int) -> Sequence[tuple[int, int]]:
        known = self._edges.get(source)
        if known is None:
            known = self._edges[source] = self._make(source)
        return known

    def _push(self, start: int, left: int) -> int:
        """Move as many units as one cheapest path carries, to a taker or to where they stay; return how many."""
        path = _Path({start: 0}, UNMATCHED - self._out[start], start)
        heap = [(0, start)]
        while heap and heap[0][0] < path.best:
            to, source = heappop(heap)
            if to == path.dist[source]:
                self._look(source, to, path, heap)
        for source, to in path.dist.items():
            self._out[source] += max(path.best - to, 0)
        for taker, to in path.seen.items():
            self._in[taker] -= max(path.best - to, 0)
        if path.end < 0 and path.giver == start:
            if len(path.dist) > _LARGE:
                self._dead.update(path.seen)
            return left
        return self._move(start, left, path)

    def _look(self, source: int, to: int, path: "_Path", heap: list[tuple[int, int]]) -> None:
        """Look from a source at the takers that it may go to, and at those that would have to give way."""
        if to + UNMATCHED - self._out[source] < path.best:
            path.best, path.end, path.giver = to + UNMATCHED - self._out[source], -1, source
        for taker, cost in self._edges_of(source):
            there = to + cost - self._out[source] - self._in[taker]
            if there >= path.best or there >= path.seen.get(taker, path.best) or taker in self._dead:
                continue
            path.seen[taker], path.came_from[taker] = there, source
            if self._free[taker]:
                path.best, path.end = there, taker
                continue
            for holder, units in self._holders[taker].items():
                if units and there < path.dist.get(holder, path.best):
                    path.dist[holder], path.came_over[holder] = there, taker
                    heappush(heap, (there, holder))

    def _move(self, start: int, left: int, path: "_Path") -> int:
        end, giver = path.end, path.giver
        steps: list[tuple[int, int, int]] = []  # the source, the taker it gets, the one it leaves (-1 for none)
        taker = end
        if end < 0:
            taker = path.came_over[giver]
            steps.append((giver, -1, taker))
        while True:
            source = path.came_from[taker]
            leaves = -1 if source == start else path.came_over[source]
            steps.append((source, taker, leaves))
            if source == start:
                break
            taker = leaves
        units = min([left, *(self._holders[out][s] for s, _, out in steps if out >= 0)])
        if end >= 0:
            units = min(units, self._free[end])
            self._free[end] -= units
        for source, gets, leaves in steps:
            if gets >= 0:
                self._holders[gets][source] = self._holders[gets].get(source, 0) + units
            if leaves >= 0:
                self._holders[leaves][source] -= units
        return units
