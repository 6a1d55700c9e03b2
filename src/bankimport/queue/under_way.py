"""The claims of one worker that have no answer yet: a pure count of places, so that nothing is asked for twice."""

from typing import NamedTuple

#: What a number ends in whose claim stands behind a wait (`lua/lib/leases.lua`).
WAITING = "w"


class ClaimCall(NamedTuple):
    """A claim: its number, how many places it asks for, and how many are busy beside them."""

    number: str
    places: int
    busy: int


class ClaimsUnderWay:
    """Each claim has a number. The same number is given the same claims again, if its reply was lost."""

    def __init__(self) -> None:
        self._numbers = 0
        #: how many places were asked for, by number
        self._asked: dict[str, int] = {}
        #: those of them whose replies may be lost
        self._lost: list[str] = []
        #: the one that was sent while nothing ran here: it may bring a suspect, which runs alone
        self.alone: str | None = None

    @property
    def places(self) -> int:
        """How many places all of them ask for."""
        return sum(self._asked.values())

    @property
    def any_lost(self) -> bool:
        """Whether one is to be asked for again."""
        return bool(self._lost)

    def begin(self, places: int, running: int) -> ClaimCall:
        """Return a new claim for so many places, beside so many runs."""
        return self._call(self._next(places, ""), running)

    def begin_waiting(self, places: int, running: int) -> ClaimCall:
        """Return a new claim that stands behind a wait. Others may be sent beside it, so what it brings may be company
        for a suspect."""
        return ClaimCall(self._next(places, WAITING), places, running)

    def again(self, running: int) -> ClaimCall:
        """Return a claim whose reply was lost."""
        return self._call(self._lost.pop(0), running)

    def _next(self, places: int, mark: str) -> str:
        self._numbers += 1
        number = f"{self._numbers}{mark}"
        self._asked[number] = places
        return number

    def _call(self, number: str, running: int) -> ClaimCall:
        others = [asked for other, asked in self._asked.items() if other != number and not other.endswith(WAITING)]
        busy = running + sum(others)
        if busy == 0:
            self.alone = number
        return ClaimCall(number, self._asked[number], busy)

    def lose(self, number: str) -> None:
        """Note that a claim may have been carried out, but has no answer."""
        self._lost.append(number)

    def end(self, number: str) -> None:
        """Forget a claim that has its answer, or won't have one; one that was lost stays."""
        if number not in self._lost:
            self._asked.pop(number, None)
            if self.alone == number:
                self.alone = None
