"""A bank to develop against: it speaks Berlin Group NextGenPSD2, and misbehaves on request.

`create_app` for a test's own server, `serve` for a process (`bankimport sandbox`), `transactions_on` for the truth.
"""

from bankimport.sandbox.bank import BankClock, Served, transactions_on
from bankimport.sandbox.misbehaviour import Kind, Switch, Switches
from bankimport.sandbox.people import Account, Entry, Person, person_of
from bankimport.sandbox.server import create_app, serve

__all__ = [
    "Account",
    "BankClock",
    "Entry",
    "Kind",
    "Person",
    "Served",
    "Switch",
    "Switches",
    "create_app",
    "person_of",
    "serve",
    "transactions_on",
]
