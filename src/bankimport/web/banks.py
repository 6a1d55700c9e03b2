"""The handlers that say which banks can be connected, and that end the doubt about an account."""

from typing import Self

from aiohttp import web

from bankimport.errors import NotFound
from bankimport.models import ConnectionDetails, Id, Institution, Model, StrictModel
from bankimport.ports import OffersConsent
from bankimport.web.call import Call
from bankimport.web.parameters import path_id


class BankView(Model):
    """One of the host's banks. `connectable` is whether a person can connect it; else the host's own code does."""

    name: str
    connectable: bool


class BankListView(Model):
    """The host's banks, in the order of their names."""

    banks: tuple[BankView, ...]


class InstitutionView(Model):
    """One bank of a provider of many: `id` is what `institution` names. `longestConsentDays` is absent where it isn't
    known; without the `requiredHeaders` of its person the bank doesn't answer; `methods` are ways to authorise."""

    id: str
    name: str
    country: str
    longest_consent_days: int | None = None
    required_headers: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()

    @classmethod
    def of(cls, found: Institution) -> Self:
        """Return a bank as it is shown."""
        longest = found.longest_consent
        return cls(
            id=found.id,
            name=found.name,
            country=found.country,
            longest_consent_days=None if longest is None else longest.days,
            required_headers=found.required_headers,
            methods=found.methods,
        )


class InstitutionListView(Model):
    """The banks that a provider can connect, as it lists them; none where the provider is one bank."""

    institutions: tuple[InstitutionView, ...]


class DecisionBody(StrictModel):
    """The body of `POST …/accounts/{accountId}/decision`: the stored account that it is, or null: one of its own."""

    same_as: Id | None


def _json(model: Model) -> web.Response:
    text = model.model_dump_json(exclude_none=True)
    return web.Response(text=text, content_type="application/json", headers={"Cache-Control": "no-store"})


async def list_banks(call: Call) -> web.Response:
    """List the banks by the names that `bank` takes."""
    found = sorted(call.service.banks.items())
    views = (BankView(name=name, connectable=isinstance(bank, OffersConsent)) for name, bank in found)
    return _json(BankListView(banks=tuple(views)))


async def list_institutions(call: Call) -> web.Response:
    """List what `institution` may name, where a provider has many banks."""
    bank = path_id(call.request, "bank", "bank")
    if bank not in call.service.banks:
        raise NotFound("bank")
    found = await call.service.connections.institutions(bank, country=call.request.query.get("country"))
    return _json(InstitutionListView(institutions=tuple(map(InstitutionView.of, found))))


async def decide_account(call: Call) -> web.Response:
    """End the doubt about an account: it is a stored one that the bank lists no more, or one of its own."""
    connection_id = path_id(call.request, "id", "connection")
    account_id = path_id(call.request, "accountId", "account")
    body = call.parse(DecisionBody)
    connections = call.service.connections
    await connections.decide_account(connection_id, account_id, same_as=body.same_as, org_id=call.org_id)
    details: ConnectionDetails = await call.service.get_connection(connection_id, call.org_id)
    return _json(details)
