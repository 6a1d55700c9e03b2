"""Import bank transactions in the background, reliably, for many organisations, under PSD2.

Importing this reads no environment, opens no connection and imports no optional dependency: the names below are
loaded as they are asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bankimport.app import BankImport
    from bankimport.errors import BankImportError
    from bankimport.events import Event
    from bankimport.models import JobPage, JobProgress, JobStatus, QueueHealth, QueueStats, SyncOptions
    from bankimport.ports import BankProvider, BankStore
    from bankimport.settings import Settings
    from bankimport.status import ConnectionStatus, JobState
    from bankimport.web import allow_all
    from bankimport.worker.settings_class import WorkerSettingsBase as WorkerSettings

_HOMES = {
    "BankImport": "app",
    "BankImportError": "errors",
    "BankProvider": "ports",
    "BankStore": "ports",
    "ConnectionStatus": "status",
    "Event": "events",
    "JobPage": "models",
    "JobProgress": "models",
    "JobState": "status",
    "JobStatus": "models",
    "QueueHealth": "models",
    "QueueStats": "models",
    "Settings": "settings",
    "SyncOptions": "models",
    "allow_all": "web",
}

__all__ = [
    "BankImport",
    "BankImportError",
    "BankProvider",
    "BankStore",
    "ConnectionStatus",
    "Event",
    "JobPage",
    "JobProgress",
    "JobState",
    "JobStatus",
    "QueueHealth",
    "QueueStats",
    "Settings",
    "SyncOptions",
    "WorkerSettings",
    "allow_all",
]


def __getattr__(name: str) -> Any:
    """Load a public name; `WorkerSettings` is made of the environment when `arq` asks for it."""
    if name == "WorkerSettings":
        from bankimport.app import worker_settings_from_env

        value: Any = worker_settings_from_env()
    elif name in _HOMES:
        value = getattr(import_module(f"bankimport.{_HOMES[name]}"), name)
    else:
        value = _found(name)
    globals()[name] = value
    return value


def _found(name: str) -> Any:
    """Return an error, an event, a port or a model by its name."""
    for home in ("errors", "events", "ports", "models"):
        value = vars(import_module(f"bankimport.{home}")).get(name)
        if getattr(value, "__module__", "").startswith(f"bankimport.{home}"):
            return value
    raise AttributeError(f"module 'bankimport' has no attribute {name!r}")
