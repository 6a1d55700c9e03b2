"""`GET /metrics`: the whole queue's numbers as Prometheus text, for the operator."""

from datetime import UTC, datetime

from aiohttp import web

from bankimport.web.call import STATE, ensure_allowed


async def show_metrics(request: web.Request) -> web.Response:
    """Show the queue's numbers to Prometheus.

    Raises:
        MissingExtra: the extra `metrics` is not installed.
    """
    state = request.app[STATE]
    await ensure_allowed(request, state.authorize, "operate", None)
    from bankimport.metrics import CONTENT_TYPE, render

    health = await state.service.get_queue_health()
    headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
    return web.Response(body=render(health, datetime.now(UTC)), headers=headers)
