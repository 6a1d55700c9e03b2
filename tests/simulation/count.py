"""How many lives go wrong, for each habit and kind of ids: `python -m tests.simulation.count [--job] [--seeds N] …`."""

import argparse
import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.migrated import empty_sqlite
from tests.simulation.habits import CASES
from tests.simulation.judge import Judge
from tests.simulation.lying_bank import Habit
from tests.simulation.lying_runs import CONNECTION, live_job, live_pure
from tests.simulation.simulated_bank import Ids
from tests.simulation.stored import is_on_disk, store_of


def through_the_job(
    empty: Path, seed: int, ids: Ids, habits: Sequence[type[Habit]], days: int, *, events: bool
) -> Judge:
    """A life through the job; `empty` is a database without a row."""

    async def live(folder: Path) -> Judge:
        async with store_of(CONNECTION, empty, folder, on_disk=is_on_disk(seed, ids)) as store:
            return await live_job(seed, ids, habits, store, days, events=events)

    with tempfile.TemporaryDirectory(dir=empty.parent) as folder:
        return asyncio.run(live(Path(folder)))


def main() -> None:
    """Print a line for each habit and kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("habits", nargs="*")
    parser.add_argument("--job", action="store_true")
    parser.add_argument("--events", action="store_true")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--ids", nargs="*", default=[kind.name for kind in Ids])
    asked = parser.parse_args()
    empty = empty_sqlite()
    for habit, kind in CASES:
        if (asked.habits and habit.__name__ not in asked.habits) or kind.name not in asked.ids:
            continue
        verdicts: Counter[str] = Counter()
        first, again = "", 0
        for seed in range(asked.seeds):
            if asked.job:
                judge = through_the_job(empty, seed, kind, [habit], asked.days, events=asked.events)
            else:
                judge = live_pure(seed, kind, [habit], asked.days)
            verdicts[judge.verdict] += 1
            again += judge.again
            if judge.verdict != "right" and not first:
                first = f"seed {seed}: {(judge.doubled + judge.lost)[0]}"[:150]
        decided = "decided" if kind in habit.decided else "-"
        print(
            f"{habit.__name__:21} {kind.name:9} {decided:8} {dict(verdicts)} stored again {again} {first}",
            flush=True,
        )


if __name__ == "__main__":
    main()
