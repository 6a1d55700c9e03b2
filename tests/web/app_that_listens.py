"""A host's own application for the worker: it prints every event that it is told of in the worker's process."""

from bankimport import BankImport, Event


def bank_import() -> BankImport:
    """Return what `BANK_SYNC_APP` names."""
    app = BankImport.from_env()

    def tell(event: Event) -> None:
        print("HEARD", event.model_dump_json(), flush=True)

    def fail(event: Event) -> None:
        raise RuntimeError("a handler that fails harms nobody")

    app.on("bank.*", tell)
    app.on("bank.sync.*", fail)
    return app
