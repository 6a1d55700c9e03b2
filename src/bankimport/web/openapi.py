"""`GET /openapi.json`."""

from aiohttp import web


async def show_openapi(request: web.Request) -> web.Response:
    """Describe the routes."""
    return web.json_response({"openapi": "3.1.0"})
