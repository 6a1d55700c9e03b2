"""What every answer carries: the request's id, CORS for the origins a host lists; and what goes compressed."""

import re
import secrets
from collections.abc import Mapping

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from bankimport.telemetry import span
from bankimport.web.call import STATE
from bankimport.web.origins import ensure_own_page

REQUEST_ID = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
#: Smaller answers don't gain from it.
_COMPRESSED_FROM = 1024
_EXPOSED = "ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"
_ASKED = "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-ID"
#: Where a request keeps what its answer carries.
_MORE: web.RequestKey[dict[str, str]] = web.RequestKey("bankimport.headers", dict)
_ID: web.RequestKey[str] = web.RequestKey("bankimport.request_id", str)


@web.middleware
async def request_ids(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, its own if it brings a good one; it stands in the answer and in each line of the log."""
    brought = request.headers.get(REQUEST_ID, "")
    request[_ID] = brought if _REQUEST_ID.fullmatch(brought) else secrets.token_hex(8)
    resource = request.match_info.route.resource
    name = f"{request.method} {resource.canonical if resource is not None else '(none)'}"
    parent = request.headers.get("traceparent")
    with (
        structlog.contextvars.bound_contextvars(request_id=request[_ID]),
        span(name, kind="server", parent=parent) as current,
    ):
        response = await handler(request)
        if current is not None:
            current.set_attribute("http.response.status_code", response.status)
    if isinstance(response, web.Response) and len(response.body or b"") >= _COMPRESSED_FROM:  # type: ignore[arg-type]  # ours are bytes
        response.headers.add("Vary", "Accept-Encoding")
        if _takes_gzip(request.headers.get("Accept-Encoding", "")):
            response.enable_compression(web.ContentCoding.gzip)
    return response


def _takes_gzip(accepted: str) -> bool:
    for part in accepted.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def carry(request: web.Request, headers: Mapping[str, str]) -> None:
    """Let the answer of this request carry these headers, whatever it is."""
    request.setdefault(_MORE, {}).update(headers)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Complete an answer before its headers are sent, that of a stream too."""
    response.headers[REQUEST_ID] = request.get(_ID, "-")
    response.headers.update(request.get(_MORE, {}))
    allowed = request.app[STATE].allowed_origins
    if not allowed:
        return
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin", "")
    if origin.lower() in allowed:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED


async def answer_preflight(request: web.Request) -> web.Response:
    """Answer a browser that asks whether a page of another origin may ask (CORS): only those of the host's list."""
    ensure_own_page(request, request.app[STATE].allowed_origins)
    methods = {route.method for route in request.match_info.route.resource or ()} - {"OPTIONS"}
    told = ", ".join(sorted(methods))
    headers = {"Allow": told, "Access-Control-Max-Age": "600"}
    if "Origin" in request.headers:
        headers |= {"Access-Control-Allow-Methods": told, "Access-Control-Allow-Headers": _ASKED}
    return web.Response(status=204, headers=headers)
