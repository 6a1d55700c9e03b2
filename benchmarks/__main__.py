"""`python -m benchmarks [question …] [--repeats 5] [--scale 1] [--write]`: measure, and print the table."""

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import drain, enqueue, followers, full_job, idle, memory, peers, pick_up, stats
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
        followers,
    )
}
README = Path(__file__).parent / "README.md"
PEERS_BEGIN, PEERS_END = "<!-- peers: written by python -m benchmarks peers --write -->", "<!-- end of peers -->"
BEGIN, END = "<!-- table: written by python -m benchmarks --write -->", "<!-- end of table -->"


async def run(questions: list[str], repeats: int, scale: float) -> list[Row]:
    """Measure the questions named, in order, on one server."""
    rows = []
    async with ready(repeats, scale) as bench:
        for question in questions:
            note(f"{question} … (load {os.getloadavg()[0]:.2f})")
            rows += await QUESTIONS[question](bench)
    return rows


async def run_peers(repeats: int, scale: float) -> str:
    """Measure the peers beside ours, on one server."""
    async with ready(repeats, scale) as bench:
        return await peers.measure(bench)


def write(begin: str, end: str, table: str) -> None:
    """Put a table into the README, between its marks."""
    head, _, rest = README.read_text().partition(begin)
    README.write_text(f"{head}{begin}\n\n{table}\n\n{end}{rest.partition(end)[2]}")


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = (*QUESTIONS, "peers")
    parser.add_argument(
        "questions", nargs="*", metavar="question", help=f"of {', '.join(known)}; all but peers if none"
    )
    parser.add_argument("--repeats", type=int, default=5, help="how often each figure is measured (the median counts)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the counts of jobs")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    asked = parser.parse_args()
    unknown = set(asked.questions) - set(known)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    began = os.getloadavg()
    marks = (PEERS_BEGIN, PEERS_END) if asked.questions == ["peers"] else (BEGIN, END)
    if asked.questions == ["peers"]:
        table = asyncio.run(run_peers(asked.repeats, asked.scale))
    else:
        table = markdown(asyncio.run(run(asked.questions or list(QUESTIONS), asked.repeats, asked.scale)))
    table += f"\n\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, median of {asked.repeats}, "
    table += f"load average before it {began[0]:.2f}."
    print(table)
    if asked.write:
        write(*marks, table)


if __name__ == "__main__":
    main()
