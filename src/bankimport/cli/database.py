"""`bankimport db …`: the schema of the SQL store."""

import typer

from bankimport.errors import BankImportError, StartFailed
from bankimport.settings import Settings

database = typer.Typer(help="The SQL store's database.", no_args_is_help=True, rich_markup_mode=None)


@database.callback()
def group() -> None:
    """Keep `db` a group although it has a single command (typer would drop the word)."""


@database.command("upgrade")
def upgrade_database() -> None:
    """Bring the database of BANK_SYNC_DATABASE_URL to the schema of this version."""
    url = Settings.load().database_url.get_secret_value()
    from bankimport.stores import upgrade

    try:
        revision = upgrade(url)
    except BankImportError:
        raise
    except Exception as error:  # a driver's own: its text may hold the address with its password
        kind = type(error).__name__
        raise StartFailed(
            f"the database of BANK_SYNC_DATABASE_URL can't be opened ({kind}): is it running, does it exist, "
            "may its user make tables?"
        ) from error
    typer.echo(f"the database is at {revision}")
