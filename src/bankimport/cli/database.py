"""`bankimport db …`: the schema of the SQL store."""

import typer

from bankimport.settings import Settings

database = typer.Typer(help="The SQL store's database.", no_args_is_help=True)


@database.callback()
def group() -> None:
    """Keep `db` a group although it has a single command (typer would drop the word)."""


@database.command("upgrade")
def upgrade_database() -> None:
    """Bring the database of BANK_SYNC_DATABASE_URL to the schema of this version."""
    from bankimport.stores import upgrade

    typer.echo(f"the database is at {upgrade(Settings.load().database_url.get_secret_value())}")
