"""The worker: the settings class for stock arq, the wrapper around jobs, and what runs beside them."""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """Return `WorkerSettings`, made of the environment, for `arq bankimport.worker.WorkerSettings`."""
    if name == "WorkerSettings":
        return import_module("bankimport").WorkerSettings
    raise AttributeError(f"module 'bankimport.worker' has no attribute {name!r}")
