"""Stores: where connections, accounts and transactions live. `SqlStore` needs the extra `sql`."""

from typing import TYPE_CHECKING

from bankimport.errors import MissingExtra
from bankimport.imports.accounts import Assignment, assign
from bankimport.stores.access_keys import with_keys

if TYPE_CHECKING:
    from bankimport.stores.sql.migrations import upgrade, upgrade_async
    from bankimport.stores.sql.store import SqlStore

__all__ = ["Assignment", "SqlStore", "assign", "upgrade", "upgrade_async", "with_keys"]

if not TYPE_CHECKING:  # a checker would take any name for one of ours

    def __getattr__(name: str) -> object:
        """Load a public name; what it needs may not be installed."""
        if name not in __all__:
            raise AttributeError(f"module 'bankimport.stores' has no attribute {name!r}")
        try:
            from bankimport.stores.sql import migrations, store
        except ModuleNotFoundError as error:
            if error.name and error.name.split(".")[0] == "bankimport":
                raise
            raise MissingExtra("sql", "the SQL store") from None
        return store.SqlStore if name == "SqlStore" else getattr(migrations, name)
