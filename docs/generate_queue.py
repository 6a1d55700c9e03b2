"""The parts of the documentation that are facts of the queue: its keys, and which of them a job's life touches."""

import re
from collections.abc import Iterator

from bankimport.queue.transitions import Transitions
from bankimport.redis.keys import KEYS
from bankimport.redis.rendering import gather
from bankimport.status import TRANSITIONS

#: A job's life, in order: what happens, and the script that does it.
LIFE = (
    ("somebody asks", "enqueue_jobs"),
    ("a worker claims it", "claim_jobs"),
    ("it says how far it is", "advance_progress"),
    ("its worker beats", "beat_worker"),
    ("it makes its children", "fan_out_batch"),
    ("it ends well", "complete_job"),
    ("it fails, for now or for good", "fail_job"),
    ("its worker is deployed anew", "give_back_jobs"),
    ("somebody cancels it", "cancel_job"),
    ("somebody tries it again", "retry_job"),
    ("its time is over", "cleanup_jobs"),
)
_KEY = re.compile(r"\bkey\.(\w+)")
_NAMES = {key.name: key for key in KEYS}


def redis_keys() -> Iterator[str]:
    """Yield the table of all keys."""
    yield "| key | type | what it holds | whose it is | its end |"
    yield "|---|---|---|---|---|"
    for key in KEYS:
        yield f"| `{key.pattern}` | {key.kind} | {key.holds} | {key.owner} | {key.end} |"


def states() -> Iterator[str]:
    """Yield the ways between the states, as a diagram."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield "    [*] --> waiting"
    for operation, ways in TRANSITIONS.items():
        for before, after in ways.items():
            yield f"    {_node(before)} --> {_node(after)}: {operation}"
    yield "```"


def _node(state: str) -> str:
    return str(state).replace("-", "_")


def life() -> Iterator[str]:
    """Yield a job's life: each step, its script, and every key that it may touch."""
    yield "| step | script | keys |"
    yield "|---|---|---|"
    for step, script in LIFE:
        keys = ", ".join(f"`{_NAMES[name].pattern}`" for name in touched(script))
        yield f"| {step} | `{script}` | {keys} |"


def touched(script: str) -> list[str]:
    """Return the names of the keys that a script can reach."""
    names = set(_KEY.findall(gather(vars(Transitions)[script])))
    return [key.name for key in KEYS if key.name in names]
