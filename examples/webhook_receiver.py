"""A service that hears of new transactions: it verifies each message, and does each once. It needs no bankimport.

pip install aiohttp standardwebhooks
WEBHOOK_SECRET=whsec_… python examples/webhook_receiver.py
"""

import os
import sqlite3

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
done = sqlite3.connect(os.environ.get("RECEIVER_DATABASE", "receiver.db"), isolation_level=None)
done.execute("CREATE TABLE IF NOT EXISTS heard (id TEXT PRIMARY KEY)")


async def hear(request: web.Request) -> web.Response:
    """Answer 2xx within 15 seconds, or the message comes again; what takes longer belongs into a queue of yours."""
    body = await request.read()  # as it came: a body that was parsed and written again has another signature
    try:
        message = webhook.verify(body, dict(request.headers))
    except WebhookVerificationError:
        return web.Response(status=401)
    if done.execute("INSERT OR IGNORE INTO heard VALUES (?)", [request.headers["webhook-id"]]).rowcount == 0:
        return web.Response(status=204)  # it came before, and our answer was lost
    if message["type"] == "bank.transactions.changed":
        data = message["data"]
        print(f"{data['newTransactions']} new rows of {data['connectionId']}, account {data['accountId']}", flush=True)
    return web.Response(status=204)


app = web.Application()
app.router.add_post("/hooks", hear)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(os.environ.get("RECEIVER_PORT", "9000")))
