"""`/openapi.json` is what the routes really do."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bankimport import BankImport, Settings
from bankimport.errors import InvalidRequest
from bankimport.events import EVENTS
from bankimport.models import CONNECTION_WORDS
from bankimport.testing import FakeBank, MemoryStore
from bankimport.web.routes import web_app
from bankimport.web.table import PREFIX, ROUTES
from tests.web.serving import FakeService, Host, by_token, job, running_job


async def described(host: Host) -> dict[str, Any]:
    """Return the description; no token is needed."""
    async with host.session.get(f"{host.origin}/api/openapi.json") as answer:
        assert answer.status == 200
        found: dict[str, Any] = await answer.json()
        return found


def schema_of(description: dict[str, Any], method: str, path: str, status: int) -> Draft202012Validator:
    """Return what checks an answer."""
    prefix = "" if path.startswith(("*", "/queue/pause")) else "/organisations/{orgId}/bank-connections"
    prefix = "/organisations/{orgId}" if path.startswith("@") else prefix
    answer = description["paths"][prefix + path.lstrip("@*")][method.lower()]["responses"][str(status)]
    [content] = answer["content"].values()
    return Draft202012Validator({**content["schema"], "components": description["components"]})


async def test_the_description_is_sound(host: Host) -> None:
    """Every schema is one, and every reference leads somewhere."""
    description = await described(host)
    assert description["openapi"].startswith("3.1")
    schemas = description["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    references = set(str(description).split("#/components/schemas/")[1:])
    assert {reference.split("'")[0] for reference in references} <= set(schemas)


async def test_every_route_is_described() -> None:
    """The application has the routes of the description and no other."""
    app = web_app(FakeService(), authorize=by_token)
    served = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}
    beside = {
        (method, path)
        for method in ("GET", "HEAD")
        for path in ("/openapi.json", "/problems/{code}", "/callback/{bank}")
    }
    assert beside <= served
    pages = {
        (method, path) for method, path in served if path.startswith("/dashboard") or "/page" in path
    }  # for people, not programs
    asked = {(method, path) for method, path in served - beside - pages if method not in ("HEAD", "OPTIONS")}
    assert asked == {(route.method, route.path) for route in ROUTES}


async def test_no_connection_is_called_as_a_route(settings: Settings) -> None:
    """Each word that stands where a connection's id does is refused as one, by every way to add a connection."""
    app = web_app(FakeService(), authorize=by_token)
    prefix = f"{PREFIX}/"
    paths = [route.resource.canonical for route in app.router.routes() if route.resource is not None]
    words = {path.removeprefix(prefix).partition("/")[0] for path in paths if path.startswith(prefix)}
    assert words - {"{id}"} == CONNECTION_WORDS
    store = MemoryStore()
    async with BankImport(settings, banks={"bank": FakeBank()}, store=store) as bank_import:
        for word in words - {"{id}"}:
            for add in (store.add_connection, bank_import.connections.add):
                with pytest.raises(InvalidRequest, match="something else in addresses"):
                    await add(org_id="acme", bank="bank", id=word)


@pytest.mark.parametrize(
    ("method", "route", "path", "status"),
    [
        ("POST", "/{id}/sync", "/giro/sync", 202),
        ("POST", "/sync", "/sync", 202),
        ("GET", "/jobs/{jobId}", "/jobs/j1", 200),
        ("GET", "/jobs/{jobId}", "/jobs/nix", 404),
        ("GET", "/jobs", "/jobs", 200),
        ("GET", "/jobs", "/jobs?limit=x", 422),
        ("POST", "/jobs/{jobId}/retry", "/jobs/j1/retry", 202),
        ("GET", "/queue/health", "/queue/health", 200),
        ("GET", "/queue/stats", "/queue/stats", 200),
        ("GET", "", "", 200),
        ("GET", "/{id}", "/giro", 200),
        ("GET", "/{id}", "/nix", 404),
        ("GET", "/{id}/accounts/{accountId}/balances", "/giro/accounts/acc_1/balances?since=2026-01-01", 200),
        ("GET", "/{id}/accounts/{accountId}/balances", "/giro/accounts/nix/balances", 404),
        ("GET", "/{id}/accounts/{accountId}/balances", "/giro/accounts/acc_1/balances?since=x", 422),
        ("GET", "*/banks", "*/banks?period=week", 200),
        ("GET", "*/banks", "*/banks?period=year", 422),
        ("GET", "*/failures", "*/failures", 200),
        ("GET", "@/banks", "@/banks", 200),
        ("GET", "@/banks/{bank}/institutions", "@/banks/bank/institutions?country=fi", 200),
        ("GET", "@/banks/{bank}/institutions", "@/banks/nix/institutions", 404),
        ("POST", "/queue/pause", "/queue/pause", 200),
        ("POST", "/jobs/{jobId}/cancel", "/jobs/nix/cancel", 404),
    ],
)
async def test_answers_are_as_described(
    host: Host, service: FakeService, method: str, route: str, path: str, status: int
) -> None:
    """What a route answers is valid by its schema."""
    service.jobs = {"j1": running_job(), "j2": job("j2")}
    got, body, _ = await host.call(
        method, path.lstrip("*"), token="*" if "pause" in path or path[:1] == "*" else "acme"
    )
    assert got == status
    schema_of(await described(host), method, route, status).validate(body)


async def test_examples_are_what_they_are_examples_of(host: Host) -> None:
    """Each example is valid by the schema beside it."""
    description = await described(host)
    seen = 0
    for path in description["paths"].values():
        for operation in path.values():
            parts = [operation.get("requestBody", {}), *operation["responses"].values()]
            for content in (each for part in parts for each in part.get("content", {}).values()):
                for example in content.get("examples", {}).values():
                    schema = {**content["schema"], "components": description["components"]}
                    Draft202012Validator(schema).validate(example["value"])
                    seen += 1
    assert seen >= 15


async def test_events_are_discriminated(host: Host) -> None:
    """An event of each name is valid by the schema of its own name, and with another's data it is not."""
    description = await described(host)
    schema = Draft202012Validator({"$ref": "#/components/schemas/Event", "components": description["components"]})
    told = {"orgId": "acme", "jobId": "j1", "timestamp": "2026-03-31T08:00:00.000Z", "id": "1-1"}
    data = {"jobId": "j1", "type": "sync-connection", "timestamp": "2026-03-31T08:00:00.000Z"}
    schema.validate({**told, "name": "bank.job.queued", "data": data})
    assert not schema.is_valid({**told, "name": "bank.sync.completed", "data": data})
    names = description["components"]["schemas"]["Event"]["discriminator"]["mapping"]
    assert set(names) == set(EVENTS)


async def test_results_are_typed(host: Host, service: FakeService) -> None:
    """A job of each type has the result of its own."""
    description = await described(host)
    jobs = description["components"]["schemas"]["Job"]["oneOf"]
    assert {each["$ref"].rpartition("/")[2] for each in jobs} >= {"SyncConnectionJob", "SyncAllOrgJob", "HostJob"}
    validator = schema_of(description, "GET", "/jobs/{jobId}", 200)
    service.jobs["j1"] = job(
        type="sync-all-org", result={"totalConnections": 1, "successfulSyncs": 1, "failedSyncs": 0}
    )
    validator.validate((await host.call("GET", "/jobs/j1"))[1])
    service.jobs["j1"] = job(type="sync-all-org", result={"removed": 3})
    assert not validator.is_valid((await host.call("GET", "/jobs/j1"))[1])
    service.jobs["j1"] = job(type="the-hosts-own", result={"removed": 3})
    validator.validate((await host.call("GET", "/jobs/j1"))[1])


async def test_nothing_is_null_by_default(host: Host) -> None:
    """No schema has a default: a generator would send it, or believe that it comes."""
    assert '"default"' not in json.dumps((await described(host))["components"])
