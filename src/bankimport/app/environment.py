"""A `BankImport` of the environment: what `arq bankimport.WorkerSettings` runs."""

import importlib
import traceback
from typing import Any

from bankimport.app.bank_import import BankImport
from bankimport.app.starting import end_in_one_line
from bankimport.errors import BankImportError, InvalidSettings
from bankimport.logs import configure
from bankimport.settings import Settings
from bankimport.worker.event_loop import choose_event_loop
from bankimport.worker.settings_class import WorkerSettingsBase


def worker_settings_from_env() -> type[WorkerSettingsBase]:
    """Return what `arq bankimport.WorkerSettings` runs: the instance of `BANK_SYNC_APP`, or of the environment alone.

    Raises:
        InvalidSettings: naming the variable that is wrong.
    """
    end_in_one_line()
    settings = Settings.load()
    choose_event_loop(settings)
    if not settings.app:
        configure(settings)
        return BankImport.from_env().worker_settings()
    app = _named(settings.app)
    configure(settings)  # after the host's own module, which may have configured structlog itself
    return app.worker_settings()


def _named(name: str) -> BankImport:
    module, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        app = found() if callable(found) and not isinstance(found, BankImport) else found
    except BankImportError:
        raise
    except Exception as error:
        raise InvalidSettings(f"BANK_SYNC_APP: {name} can't be used: {_what(error, module)}") from error
    if not isinstance(app, BankImport):
        raise InvalidSettings(f"BANK_SYNC_APP: {name} is no BankImport and returns none, but a {type(app).__name__}")
    return app


def _what(error: Exception, module: str) -> str:
    """Return what is wrong with a host's module in a sentence; of its own errors the place, not the text."""
    if isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]:
        return f"there is no module {module}; is its folder on PYTHONPATH?"
    if isinstance(error, ImportError | AttributeError):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.filename}, line {frame.lineno}"
