"""`GET …/problems/{code}`: what a problem means, at the address that its `type` names."""

from aiohttp import web

from bankimport.errors import NotFound
from bankimport.web.problem_types import PROBLEM_TYPES


async def show_problem(request: web.Request) -> web.Response:
    """Show what a problem means; it holds nothing secret, so everybody may read it."""
    known = PROBLEM_TYPES.get(request.match_info["code"])
    if known is None:
        raise NotFound("problem")
    text = f"{known.title} ({known.code}, HTTP {known.status})\n\n{known.help}\n"
    return web.Response(text=text, content_type="text/plain", headers={"Cache-Control": "max-age=86400"})
