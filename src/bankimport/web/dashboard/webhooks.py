"""*Webhooks*: who is told of imports, what each has taken, refused and still to take; and "send again"."""

from collections.abc import Sequence

from aiohttp import web

from bankimport.acting import because
from bankimport.errors import InvalidRequest, NotFound, NotOffered, Unavailable
from bankimport.models import DeliveryFilter, DeliveryState, DisabledBy, WebhookEndpoint
from bankimport.web.dashboard import forms
from bankimport.web.dashboard.visit import Visit
from bankimport.web.parameters import path_id, query_cursor

_PAGE = 50


async def silenced(visit: Visit) -> Sequence[WebhookEndpoint]:
    """Return the endpoints that a worker has disabled; none where they can't be asked for."""
    try:
        endpoints = await visit.operations.webhooks.list()
    except (NotOffered, Unavailable):
        return ()
    return [each for each in endpoints if each.disabled_by not in (None, DisabledBy.HAND)]


async def show_webhooks(visit: Visit) -> web.Response:
    """Show the endpoints, and a page of deliveries."""
    fields = forms.asked(visit.request)
    state = _state(fields)
    endpoint, org_id = forms.identifier(fields, "endpoint"), forms.identifier(fields, "org")
    connection = forms.identifier(fields, "connection")
    wanted = DeliveryFilter(endpoint_id=endpoint, org_id=org_id, connection_id=connection, state=state)
    cursor = query_cursor(visit.request) if visit.request.query.get("cursor") else None
    endpoints = await visit.operations.webhooks.list()
    page = await visit.operations.webhooks.deliveries(wanted, cursor=cursor, limit=_PAGE)
    query = {"state": state, "endpoint": endpoint, "org": org_id, "connection": connection}
    return await visit.show(
        "webhooks.html",
        "webhooks",
        visit.words("Webhooks"),
        heading=_heading(visit, endpoints),
        endpoints=endpoints,
        deliveries=page.deliveries,
        next_cursor=page.next_cursor,
        query=query,
        states=list(DeliveryState),
        named_any=bool(endpoint or org_id or connection),
    )


def _heading(visit: Visit, endpoints: Sequence[WebhookEndpoint]) -> str:
    _ = visit.words
    if not endpoints:
        return _("No other service is told")
    disabled, failing = (
        [each for each in endpoints if each.disabled_by],
        [each for each in endpoints if each.failing_since],
    )
    if disabled:
        return _.many(len(disabled), "{n} endpoint is disabled", "{n} endpoints are disabled", n=len(disabled))
    if failing:
        return _.many(
            len(failing), "{n} endpoint takes nothing at the moment", "{n} endpoints take nothing", n=len(failing)
        )
    return _("Every endpoint takes what it is told")


def _state(fields: forms.Fields) -> DeliveryState | None:
    state = forms.text(fields, "state")
    if state is not None and state not in set(DeliveryState):
        raise InvalidRequest("/state", f"must be one of {', '.join(DeliveryState)}")
    return DeliveryState(state) if state else None


async def act(visit: Visit) -> web.Response:
    """Enable or disable an endpoint."""
    fields = await forms.posted(visit.request)
    endpoint_id = path_id(visit.request, "id", "webhook endpoint")
    hooks = visit.operations.webhooks
    with because(forms.reason(fields)):
        await (hooks.enable if visit.request.match_info["action"] == "enable" else hooks.disable)(endpoint_id)
    return visit.see("webhooks", done=visit.request.match_info["action"])


async def replay(visit: Visit) -> web.Response:
    """Send again: one message, or what the filter means."""
    fields = await forms.posted(visit.request)
    names = ("endpoint", "org", "connection", "message")
    endpoint, org_id, connection, message = (forms.identifier(fields, name) for name in names)
    state = _state(fields)
    wanted = DeliveryFilter(endpoint_id=endpoint, org_id=org_id, connection_id=connection, id=message, state=state)
    with because(forms.reason(fields)):
        number = await visit.operations.webhooks.replay(wanted)
    if message and number == 0:
        raise NotFound("delivery")
    return visit.see("webhooks", endpoint=endpoint, org=org_id, connection=connection, done="replay", number=number)
