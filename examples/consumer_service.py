"""Another service that reacts to finished imports: each event at least once, however often the service dies.

python examples/consumer_service.py NAME     NAME is this process's own; start as many as you like

It begins with the events that are still held (24 hours), then waits for new ones.
"""

import asyncio
import os
import socket
import sys

from bankimport import BankImport, Event, StreamGap, SyncCompleted


async def categorise(event: Event) -> None:
    """Do the work. The same event may come twice, after a crash, so do it in a way that twice is as good as once."""
    done = event.typed
    if isinstance(done, SyncCompleted):
        print(f"categorise {done.transactions_synced} entries of {event.org_id}/{done.connection_id}", flush=True)
    elif isinstance(done, StreamGap):
        print("this service was away for longer than events are kept: look at all connections", flush=True)


async def main(name: str) -> None:
    """Handle events until stopped. Asking for the next event acknowledges the last; an exception does not."""
    async with BankImport.from_env() as bank_import:
        async for event in bank_import.consume("categoriser", name, ["bank.sync.completed"], start="0"):
            await categorise(event)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else f"{socket.gethostname()}-{os.getpid()}"))
