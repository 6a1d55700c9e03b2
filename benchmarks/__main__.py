"""`python -m benchmarks [question …] [--repeats 5] [--scale 1] [--write]`: measure, and print the table."""

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import drain, enqueue, events, followers, full_job, idle, memory, pages, peers, pick_up, scale, stats
from benchmarks.bench import Bench, note, ready
from benchmarks.table import Row, markdown

QUESTIONS: Mapping[str, Callable[[Bench], Awaitable[list[Row]]]] = {
    module.__name__.rpartition(".")[2]: module.measure
    for module in (
        pick_up,
        idle,
        full_job,
        drain,
        enqueue,
        stats,
        memory,
        events,
        followers,
    )
}
#: Questions whose answer is a table of its own; each is asked alone.
TABLES: Mapping[str, Callable[[Bench], Awaitable[str]]] = {
    "pages": pages.measure,
    "peers": peers.measure,
    "scale": scale.measure,
}
README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- table: written by python -m benchmarks --write -->", "<!-- end of table -->"


async def run(questions: list[str], repeats: int, scaled: float) -> str:
    """Measure the questions named, in order, on one server; return the table."""
    async with ready(repeats, scaled) as bench:
        if questions[0] in TABLES:
            return await TABLES[questions[0]](bench)
        rows = []
        for question in questions:
            note(f"{question} … (load {os.getloadavg()[0]:.2f})")
            rows += await QUESTIONS[question](bench)
        return markdown(rows)


def write(begin: str, end: str, table: str) -> None:
    """Put a table into the README, between its marks."""
    head, _, rest = README.read_text().partition(begin)
    README.write_text(f"{head}{begin}\n\n{table}\n\n{end}{rest.partition(end)[2]}")


def _marks(questions: list[str]) -> tuple[str, str]:
    if questions[0] not in TABLES:
        return BEGIN, END
    name = questions[0]
    return f"<!-- {name}: written by python -m benchmarks {name} --write -->", f"<!-- end of {name} -->"


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "questions",
        nargs="*",
        metavar="question",
        help=f"of {', '.join(QUESTIONS)}, all of them if none; or {' or '.join(TABLES)} alone",
    )
    parser.add_argument("--repeats", type=int, default=5, help="how often each figure is measured (the median counts)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the counts of jobs")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    asked = parser.parse_args()
    questions = asked.questions or list(QUESTIONS)
    unknown = set(questions) - set(QUESTIONS) - set(TABLES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if len(questions) > 1 and set(questions) & set(TABLES):
        parser.error(f"{' and '.join(TABLES)} are each asked alone")
    began = os.getloadavg()[0]
    table = asyncio.run(run(questions, asked.repeats, asked.scale))
    table += f"\n\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, repeated {asked.repeats} ×, "
    table += f"load average {began:.2f} before it and {os.getloadavg()[0]:.2f} after it."
    print(table)
    if asked.write:
        write(*_marks(questions), table)


if __name__ == "__main__":
    main()
