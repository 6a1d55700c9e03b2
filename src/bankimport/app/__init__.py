"""The only place where the parts meet: `BankImport`, and the worker's settings made of the environment."""

from bankimport.app.bank_import import BankImport
from bankimport.app.environment import worker_settings_from_env

__all__ = ["BankImport", "worker_settings_from_env"]
