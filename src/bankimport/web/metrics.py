"""`GET /metrics`: the whole queue's numbers as Prometheus text, for the operator."""

from datetime import UTC, datetime

from aiohttp import web

from bankimport.web.call import Call


async def show_metrics(call: Call) -> web.Response:
    """Show the queue's numbers to Prometheus."""
    from bankimport.metrics import CONTENT_TYPE, render  # raises MissingExtra, which is answered with 501

    health = await call.service.get_queue_health()
    consents = await call.service.count_consents_ending()
    headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
    return web.Response(body=render(health, datetime.now(UTC), consents), headers=headers)
