"""The only place where the parts meet: `BankImport`, and the worker's settings made of the environment."""

from bankimport.app.bank_import import BankImport
from bankimport.app.environment import worker_settings_from_env
from bankimport.app.subscription import Subscription

__all__ = ["BankImport", "Subscription", "worker_settings_from_env"]
