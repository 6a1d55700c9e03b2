"""Hooks of schemathesis: half of all ids are real ones, so that more is seen than 404."""

import os
from typing import Any

import schemathesis

_REAL = {
    "orgId": ["acme"],
    "bank": ["bank"],
    "id": ["giro", "sparen"],
    "jobId": os.environ.get("REAL_JOBS", "x").split(","),
}


@schemathesis.hook
def map_query(context: Any, value: Any) -> Any:
    """Let nobody wait for long."""
    if isinstance(value, dict) and isinstance(value.get("wait"), int) and value["wait"] > 1:
        value["wait"] %= 31
        value["wait"] = min(value["wait"], 1)
    return value


@schemathesis.hook
def map_path_parameters(context: Any, value: Any) -> Any:
    """Replace made-up ids by real ones in every other case."""
    number = sum(map(ord, str(value)))
    if isinstance(value, dict) and number % 2:
        for name, known in _REAL.items():
            if name in value:
                value[name] = known[number % len(known)]
    return value
