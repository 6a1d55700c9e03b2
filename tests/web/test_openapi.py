"""`/openapi.json` is what the routes really do."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bankimport.web.routes import web_app
from bankimport.web.table import ROUTES
from tests.web.serving import FakeService, Host, by_token, job, running_job


async def described(host: Host) -> dict[str, Any]:
    """Return the description; no token is needed."""
    async with host.session.get(f"{host.origin}/api/openapi.json") as answer:
        assert answer.status == 200
        found: dict[str, Any] = await answer.json()
        return found


def schema_of(description: dict[str, Any], method: str, path: str, status: int) -> Draft202012Validator:
    """Return what checks an answer."""
    prefix = "" if path.startswith("/queue/pause") else "/organisations/{orgId}/bank-connections"
    answer = description["paths"][prefix + path][method.lower()]["responses"][str(status)]
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
    beside = {(method, path) for method in ("GET", "HEAD") for path in ("/openapi.json", "/problems/{code}")}
    assert beside <= served
    asked = {(method, path) for method, path in served - beside if method not in ("HEAD", "OPTIONS")}
    assert asked == {(route.method, route.path) for route in ROUTES}


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
        ("POST", "/queue/pause", "/queue/pause", 200),
    ],
)
async def test_answers_are_as_described(
    host: Host, service: FakeService, method: str, route: str, path: str, status: int
) -> None:
    """What a route answers is valid by its schema."""
    service.jobs = {"j1": running_job(), "j2": job("j2")}
    got, body, _ = await host.call(method, path, token="*" if "pause" in path else "acme")
    assert got == status
    schema_of(await described(host), method, route, status).validate(body)
