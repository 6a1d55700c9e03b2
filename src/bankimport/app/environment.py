"""A `BankImport` of the environment: what `arq bankimport.WorkerSettings` runs."""

import importlib
from typing import Any

from bankimport.app.bank_import import BankImport
from bankimport.errors import InvalidSettings
from bankimport.logs import configure
from bankimport.settings import Settings
from bankimport.worker.settings_class import WorkerSettingsBase


def worker_settings_from_env() -> type[WorkerSettingsBase]:
    """Return what `arq bankimport.WorkerSettings` runs: the instance of `BANK_SYNC_APP`, or of the environment alone.

    Raises:
        InvalidSettings: naming the variable that is wrong.
    """
    settings = Settings.load()
    configure(settings)
    app = _named(settings.app) if settings.app else BankImport.from_env()
    return app.worker_settings()


def _named(name: str) -> BankImport:
    module, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InvalidSettings(f"BANK_SYNC_APP: {name} can't be imported: {error}") from error
    app = found() if callable(found) and not isinstance(found, BankImport) else found
    if not isinstance(app, BankImport):
        raise InvalidSettings(f"BANK_SYNC_APP: {name} is no BankImport and returns none")
    return app
