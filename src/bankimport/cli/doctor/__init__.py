"""`bankimport doctor`: what is wrong with a set-up, each thing by its name, with how to mend it."""

import asyncio
from typing import Annotated

import typer

from bankimport.cli.operating import As, Output, say, show


def doctor(
    output: As = Output.TEXT,
    banks: Annotated[bool, typer.Option(help="Ask each bank's server for a connection too.")] = True,
) -> None:
    """Check settings, Redis, the database, the banks and the workers, and say how to mend what is wrong.

    It changes nothing. It ends with 0 where all is well or there are warnings alone, else with 1.
    """
    from bankimport.cli.doctor.facts import gathered
    from bankimport.cli.doctor.judging import findings

    found = findings(asyncio.run(gathered(ask_banks=banks)))
    rows = [{"state": each.state, "check": each.check, "says": each.says, "mend": each.mend} for each in found]
    show(rows, ("state", "check", "says", "mend"), output)
    bad = sum(each.state == "bad" for each in found)
    say(f"{bad} to mend, {sum(each.state == 'warn' for each in found)} to look at")
    if bad:
        raise typer.Exit(1)
