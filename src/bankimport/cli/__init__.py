"""The command line. It needs the extra `cli`; without it `bankimport` says so and ends with 2.

Exit codes: 0 all went well, 1 something failed, 2 called or configured wrongly.
"""

import sys
from collections.abc import Callable

from bankimport.errors import BankImportError, InvalidRequest, InvalidSettings, MissingExtra, StoreUnavailable

__all__ = ["main"]


def main() -> int:
    """Run the command of `sys.argv`; return the exit code."""
    try:
        _application()(prog_name="bankimport")
    except StoreUnavailable:
        sys.stderr.write("bankimport: the database of BANK_SYNC_DATABASE_URL does not answer: is it running?\n")
        return 1
    except BankImportError as error:
        sys.stderr.write(f"bankimport: {error}\n")
        return 2 if isinstance(error, InvalidSettings | InvalidRequest | MissingExtra) else 1
    return 0


def _application() -> Callable[..., None]:
    try:
        from bankimport.cli.application import application
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        raise MissingExtra("cli", "the command line") from None
    return application
