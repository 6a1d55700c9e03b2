"""Each rule switched off turns a named test red: `python -m tests.simulation.mutations [a table, or part of a rule's words …]`.

The tables are `matching`, `accounts`, `budget` and `truth`, each in a module `mutations_…`. Each mutation runs in a process of
its own.
"""

import os
import sys
from collections.abc import Sequence

import pytest

from tests.simulation import mutations_accounts, mutations_budget, mutations_matching, mutations_truth

TABLES = {
    "matching": mutations_matching.MUTATIONS,
    "accounts": mutations_accounts.MUTATIONS,
    "budget": mutations_budget.MUTATIONS,
    "truth": mutations_truth.MUTATIONS,
}
QUIET = ("-q", "-x", "-p", "no:cacheprovider", "--no-header", "--tb=no", "--timeout=300")


def outcome(mutation: mutations_matching.Mutation | None, tests: Sequence[str]) -> int:
    """Return pytest's exit code of these tests, run in a child where the rule is off."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 70
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        if mutation is None:
            code = int(pytest.main([*QUIET, *tests]))
        else:
            with mutation[1]():
                code = int(pytest.main([*QUIET, *tests]))
    finally:
        os._exit(code)


def main(asked: Sequence[str]) -> int:
    """Run the mutations of these tables, or whose rule has one of these words; return how many were not noticed."""
    chosen = [
        mutation
        for table, mutations in TABLES.items()
        for mutation in mutations
        if not asked or table in asked or any(word in mutation[0] for word in asked)
    ]
    wrong = 0
    if outcome(None, sorted({test for _, _, test in chosen})) != pytest.ExitCode.OK:
        print("not every named test is green without a mutation")
        wrong += 1
    for mutation in chosen:
        code = outcome(mutation, [mutation[2]])
        noticed = code == pytest.ExitCode.TESTS_FAILED
        wrong += not noticed
        print(f"{'red ' if noticed else f'NOT RED ({code})'} {mutation[0]}: {mutation[2]}", flush=True)
    print(f"{len(chosen)} mutations, {wrong} unnoticed")
    return wrong


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
