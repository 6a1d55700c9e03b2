"""The operator's pages below `/dashboard`: server-rendered, in the language and the colours of who looks.

Every page works without its script, which only saves a reload and the mouse. What they stand on is `Service`; who
may is asked of the host's `authorize` as for every route, with the action `operate`, on each request.
"""

from aiohttp import web

from bankimport.errors import MissingExtra


def add_dashboard(app: web.Application) -> None:
    """Add the pages to the sub-application; without the extra `dashboard` their address says which one it needs."""
    try:
        check_installed()
    except MissingExtra:
        app.router.add_get("/dashboard{rest:(/.*)?}", _missing)
        return
    from bankimport.web.dashboard.routes import add_pages

    add_pages(app)


def check_installed() -> None:
    """Check that what the pages are rendered with is there.

    Raises:
        MissingExtra: it isn't.
    """
    try:
        import jinja2  # noqa: F401  # whether it is there
    except ImportError:
        raise MissingExtra("dashboard", "GET /dashboard") from None


async def _missing(_: web.Request) -> web.Response:
    check_installed()
    raise MissingExtra("dashboard", "GET /dashboard")  # installed since: the host has to be started again
