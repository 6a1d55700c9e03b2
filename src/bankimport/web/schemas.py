"""The schemas of the description: made from the models, and then said as the answers really are.

What an answer leaves out when it isn't known is optional there, never `null`, and no schema has a default that would
be sent. A job is one of its types, each with the result of its own; an event is one of its names, with its data.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from bankimport.events import EVENTS, Event
from bankimport.jobs.results import ConsentsResult, SyncResult
from bankimport.models import JobType
from bankimport.models.model import Model
from bankimport.web.views import BatchResultView, CleanupResultView, JobView, PlanResultView, ProblemView

Schema = dict[str, Any]

#: What each type of job leaves behind.
RESULTS: Mapping[JobType, type[Model]] = {
    JobType.SYNC_CONNECTION: SyncResult,
    JobType.SYNC_ALL_ORG: BatchResultView,
    JobType.REFRESH_CONSENTS: ConsentsResult,
    JobType.CLEANUP: CleanupResultView,
    JobType.PLAN_SYNCS: PlanResultView,
}
_HOSTS_OWN = "HostJob"
#: Fields of an answer that are there, and null while there is nothing to say.
_NULL = {"JobView": ("progress", "result")}


def ref(name: str) -> Schema:
    """Return a reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def name_of(model: type[Model]) -> str:
    """Return the name under which a model is described."""
    return model.__name__.removesuffix("View").removesuffix("Event") or model.__name__


def schemas(answers: Iterable[type[Model]], bodies: Iterable[type[Model]]) -> Schema:
    """Return the schemas of all models, by name."""
    data = list(EVENTS.values())
    shown: set[type[Model]] = {*answers, *RESULTS.values(), *data, ProblemView, JobView}
    found = {**_made(shown, "serialization"), **_made(set(bodies), "validation")}
    job = found.pop("Job")
    found |= _jobs(job)
    found |= _events({name_of(model): model.name for model in data})
    return found


def _made(models: Iterable[type[Model]], mode: str) -> Schema:
    wanted = sorted(models, key=lambda each: each.__name__)
    _, schema = models_json_schema(
        [(model, mode) for model in wanted],  # type: ignore[misc]  # the mode is one of the two literals
        ref_template="#/components/schemas/{model}",
    )
    renamed = {model.__name__: name_of(model) for model in wanted}
    made = {
        renamed.get(name, name): _said(name, each, answers=mode == "serialization")
        for name, each in schema["$defs"].items()
    }
    renamed_schemas: Schema = _renamed(made, renamed)
    return renamed_schemas


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        target = value.get("$ref", "").rpartition("/")[2] if isinstance(value.get("$ref"), str) else ""
        return ref(names[target]) if target in names else {key: _renamed(each, names) for key, each in value.items()}
    return [_renamed(each, names) for each in value] if isinstance(value, list) else value


def _said(name: str, schema: Schema, *, answers: bool) -> Schema:
    """Return a schema as answers are: without defaults, and what may be null left out instead."""
    properties: Schema = {}
    optional = set()
    for field, each in schema.get("properties", {}).items():
        kept = {key: value for key, value in each.items() if key not in ("default", "title")}
        kinds = kept.get("anyOf", ())
        if answers and {"type": "null"} in kinds and field not in _NULL.get(name, ()):
            optional.add(field)
            rest = [kind for kind in kinds if kind != {"type": "null"}]
            del kept["anyOf"]
            kept |= rest[0] if len(rest) == 1 else {"anyOf": rest}
        properties[field] = kept
    said = {key: value for key, value in schema.items() if key not in ("title", "properties", "required")}
    if properties:
        said["properties"] = properties
    required = [field for field in schema.get("required", ()) if field not in optional]
    return {**said, "required": required} if required else said


def _jobs(job: Schema) -> Schema:
    """Return a job as one of its types, each with its result; a host's own functions have types of their own."""
    found: Schema = {}
    mapping = {}
    for kind, result in RESULTS.items():
        name = "".join(word.capitalize() for word in kind.value.split("-")) + "Job"
        outcome = {"anyOf": [ref(name_of(result)), {"type": "null"}]}
        kinds = {"type": "string", "const": kind.value}
        found[name] = {**job, "properties": {**job["properties"], "type": kinds, "result": outcome}}
        mapping[kind.value] = ref(name)["$ref"]
    types = {"type": "string", "not": {"enum": list(mapping)}}
    found[_HOSTS_OWN] = {**job, "properties": {**job["properties"], "type": types}}
    one_of = [*({"$ref": each} for each in mapping.values()), ref(_HOSTS_OWN)]
    return {**found, "Job": {"oneOf": one_of, "description": job.get("description", "")}}


def _events(names: Mapping[str, str]) -> Schema:
    """Return the envelope as one of its events."""
    envelope = _made({Event}, "serialization")["Event"]
    envelope["properties"]["jobId"] = {"type": ["string", "null"]}
    envelope["required"] = sorted({*envelope["required"], "jobId"})
    found: Schema = {}
    mapping = {}
    for data, name in names.items():
        kinds = {"name": {"type": "string", "const": name}, "data": ref(data)}
        found[f"{data}Event"] = {**envelope, "properties": {**envelope["properties"], **kinds}}
        mapping[name] = ref(f"{data}Event")["$ref"]
    one_of = [{"$ref": each} for each in mapping.values()]
    return {**found, "Event": {"oneOf": one_of, "discriminator": {"propertyName": "name", "mapping": mapping}}}
