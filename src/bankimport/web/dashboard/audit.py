"""*Audit*: who did what, when, on what, why."""

from aiohttp import web

from bankimport.models import AuditFilter
from bankimport.web.dashboard import forms
from bankimport.web.dashboard.visit import Visit
from bankimport.web.parameters import query_cursor

#: What can be looked for: whole kinds of action, by the beginning of their names.
KINDS = ("jobs", "queue", "connection", "organisation", "webhooks", "keys")
_PAGE = 50


async def show_audit(visit: Visit) -> web.Response:
    """Show a page of what people did."""
    fields = forms.asked(visit.request)
    query = {name: forms.text(fields, name) for name in ("who", "action", "subject")}
    query["org"] = forms.identifier(fields, "org")
    wanted = AuditFilter(who=query["who"], action=query["action"], org_id=query["org"], subject=query["subject"])
    cursor = query_cursor(visit.request) if visit.request.query.get("cursor") else None
    page = await visit.operations.audit.list(wanted, cursor=cursor, limit=_PAGE)
    title = visit.words("Audit")
    return await visit.show(
        "audit.html", "audit", title, entries=page.entries, next_cursor=page.next_cursor, query=query, kinds=KINDS
    )
