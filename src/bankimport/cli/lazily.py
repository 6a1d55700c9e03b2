"""The commands by name: each is imported when it is called, so that `--help` needs none of them."""

from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

#: name: where it is, and what `--help` says of it
COMMANDS: Final = {
    "up": ("bankimport.cli.trial:up", "Start everything on this machine, to try it."),
    "doctor": ("bankimport.cli.doctor:doctor", "Check the set-up, and say how to mend what is wrong."),
    "sync": ("bankimport.cli.jobs:sync", "Import a connection now, and watch it."),
    "jobs": ("bankimport.cli.jobs:jobs", "List, show, watch, retry, cancel and discard jobs."),
    "queue": ("bankimport.cli.whole_queue:queue", "Show, pause and resume the whole queue."),
    "workers": ("bankimport.cli.whole_queue:workers", "Show the workers that are alive."),
    "health": ("bankimport.cli.probes:health", "A probe: whether the worker of this host lives."),
    "ready": ("bankimport.cli.probes:ready", "A probe: whether the worker of this host can work."),
    "schedule": ("bankimport.cli.whole_queue:schedule", "Show when the schedules were due, and are due next."),
    "events": ("bankimport.cli.whole_queue:events", "Print events, those that are held and those to come."),
    "audit": ("bankimport.cli.whole_queue:audit", "Show what people did."),
    "connections": ("bankimport.cli.connections:connections", "Accesses to banks, one for each consent."),
    "connect": ("bankimport.cli.connect:connect", "Connect a bank as its person, or renew the consent."),
    "webhooks": ("bankimport.cli.webhooks:webhooks", "Services that are told of imports, and how that goes."),
    "coverage": ("bankimport.cli.organisations:coverage", "Show which days of an account are surely complete."),
    "budget": ("bankimport.cli.organisations:budget", "Show the unattended reads used, and when one frees up."),
    "export": ("bankimport.cli.organisations:export", "Write an organisation's transactions as JSONL or CSV."),
    "erase": ("bankimport.cli.organisations:erase", "Erase an organisation, for good."),
    "db": ("bankimport.cli.database:database", "The SQL store's database."),
    "keys": ("bankimport.cli.organisations:keys", "The keys that credentials are encrypted with."),
    "sandbox": ("bankimport.cli.sandbox:sandbox", "Serve a sandbox bank that speaks three APIs."),
}


class LazyGroup(TyperGroup):
    """The top of the command line."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, as they stand in the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            command: Any = typer.main.get_group(found)
        else:
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            alone.command()(found)
            command = typer.main.get_command(alone)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run a command. Ids may begin with a dash, which the command line takes for an option: then say how to write
        it. (click's own class of this error is at another place in each release of typer.)"""
        try:
            return super().invoke(ctx)
        except Exception as error:
            command = getattr(getattr(error, "ctx", None), "command", None)
            takes_ids = any(each.param_type_name == "argument" for each in getattr(command, "params", ()))
            if type(error).__name__ == "NoSuchOption" and takes_ids:
                told: Any = error
                told.message += f". An id that begins with a dash is written after --: {told.ctx.command_path} -- ID"
            raise

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])
