"""The worker: the settings class for stock arq, the wrapper around jobs, and what runs beside them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bankimport.worker.settings_class import WorkerSettingsBase as WorkerSettings

__all__ = ["WorkerSettings"]

if not TYPE_CHECKING:  # a checker would take any name for one of ours

    def __getattr__(name: str) -> object:
        """Return `WorkerSettings`, made of the environment, for `arq bankimport.worker.WorkerSettings`."""
        from importlib import import_module

        if name == "WorkerSettings":
            return import_module("bankimport").WorkerSettings
        raise AttributeError(f"module 'bankimport.worker' has no attribute {name!r}")
