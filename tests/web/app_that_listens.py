"""A host's own application for the worker: it prints every event that it is told of in the worker's process."""

import sys

from bankimport import BankImport, Event


def bank_import() -> BankImport:
    """Return what `BANK_SYNC_APP` names."""
    app = BankImport.from_env()

    def tell(event: Event) -> None:
        # in one write, and on a line of its own: other threads write too, and `print` writes a line in pieces
        sys.stdout.write(f"\nHEARD {event.model_dump_json()}\n")
        sys.stdout.flush()

    def fail(event: Event) -> None:
        raise RuntimeError("a handler that fails harms nobody")

    app.on("bank.*", tell)
    app.on("bank.sync.*", fail)
    return app
