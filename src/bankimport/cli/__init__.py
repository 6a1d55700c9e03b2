"""The command line. It needs the extra `cli`; without it `bankimport` says so and ends with 2.

Exit codes: 0 all went well, 1 something failed, 2 called or configured wrongly, 3 there is no such thing, 4 Redis, the
database or a bank is away, 5 a person has to renew the consent.
"""

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command of `sys.argv`; return the exit code."""
    try:
        from bankimport.cli.application import application
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.stderr.write("bankimport: the command line needs the extra 'cli': pip install 'bankimport[cli]'\n")
        return 2
    try:
        application(prog_name="bankimport")
    except Exception as error:
        return _told(error)
    return 0


def _told(error: Exception) -> int:
    """Say in a line what went wrong, and return its code. What is none of ours is a defect, and keeps its trace."""
    from bankimport import errors

    if not isinstance(error, errors.BankImportError):
        raise error
    if isinstance(error, errors.StoreUnavailable):
        sys.stderr.write("bankimport: the database of BANK_SYNC_DATABASE_URL does not answer: is it running?\n")
        return 4
    sys.stderr.write(f"bankimport: {error}\n")
    for kinds, code in (
        ((errors.InvalidSettings, errors.InvalidRequest, errors.MissingExtra), 2),
        ((errors.NotFound,), 3),
        ((errors.Unavailable, errors.StartFailed), 4),
        ((errors.ConnectionUnusable, errors.ReauthRequired), 5),
    ):
        if isinstance(error, kinds):
            return code
    return 1
