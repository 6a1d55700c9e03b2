"""A worker's `BankImport` whose process is killed between the commit of rows and the webhook that tells of them, once."""

import os
import signal
from pathlib import Path
from typing import Any

from bankimport import BankImport, Settings
from bankimport.providers import providers_from_settings
from bankimport.stores import SqlStore


class DyingStore(SqlStore):
    """Dies once new rows are committed; not again, which a file remembers."""

    async def apply(self, account: Any, version: int, change_set: Any, *args: Any, **kwargs: Any) -> bool:
        """Commit, and die."""
        done = await super().apply(account, version, change_set, *args, **kwargs)
        if done and change_set.inserts:
            try:
                os.close(os.open(Path(os.environ["HOST_DIED"]), os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return done
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    def _woken(self, told: bool) -> None:
        """Nobody is woken before the process has died: the commit is the last thing that it did."""
        if Path(os.environ["HOST_DIED"]).exists():
            super()._woken(told)


def bank_import() -> BankImport:
    """Return it."""
    settings = Settings.load()
    store = DyingStore(settings.database_url.get_secret_value(), environment="development")
    return BankImport(settings, banks=providers_from_settings(settings.banks), store=store)
