"""One job, with its ETag, and waiting until it has changed: polling that costs one request a change."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta

from aiohttp import web

from bankimport.errors import NotFound, Unavailable
from bankimport.models import JobStatus
from bankimport.stream import Follower, FollowerEnded
from bankimport.web.call import Call
from bankimport.web.live import take_place
from bankimport.web.views import JobView

#: How often the record is looked at although nothing was heard: a job may be changed by more than its events.
_LOOK_AGAIN = timedelta(seconds=5)


async def answer_job(call: Call, job_id: str, wait: int) -> web.Response:
    """Answer with the job; 304 where the client has it already, after `wait` seconds if nothing changes sooner."""
    known = _tags(call.request.headers.getall("If-None-Match", []))
    text, tag, ended = await _shown(call, job_id)
    if wait and not ended and (not known or tag in known):
        text, tag = await _changed(call, job_id, tag, wait) or (text, tag)
    headers = {"Cache-Control": "no-cache", "ETag": tag}
    if tag in known or "*" in known:
        return web.Response(status=304, headers=headers)
    return web.Response(text=text, content_type="application/json", headers=headers)


def _tags(headers: Sequence[str]) -> set[str]:
    """Return the tags that a client has; a weak one will do (RFC 9110, 13.1.2)."""
    return {tag.strip().removeprefix("W/") for header in headers for tag in header.split(",")} - {""}


async def _shown(call: Call, job_id: str) -> tuple[str, str, bool]:
    """Return the job as JSON, its tag, and whether it has ended."""
    job = await _job(call, job_id)
    text = json.dumps(JobView.of(job))
    return text, f'"{hashlib.blake2b(text.encode(), digest_size=9).hexdigest()}"', job.state.is_terminal


async def _job(call: Call, job_id: str) -> JobStatus:
    job = await call.service.get_job_status(job_id, call.scope)
    if job is None:
        raise NotFound("job")
    return job


async def _changed(call: Call, job_id: str, tag: str, wait: int) -> tuple[str, str] | None:
    """Return the job as soon as its tag is another one; None if it stays the same for so long."""
    events = call.state.events
    if events is None:
        raise Unavailable("the stream of events")
    loop = asyncio.get_running_loop()
    until = loop.time() + wait
    follower = await call.service.bounds.within(take_place(call, events, job_id))
    call.state.followers.add(follower)  # so that the host's shutdown ends it
    try:
        while True:
            text, found, _ = await _shown(call, job_id)  # once after subscribing too: it may have changed in between
            if found != tag:
                return text, found
            left = until - loop.time()
            if left <= 0 or not await _heard(follower, min(timedelta(seconds=left), _LOOK_AGAIN)):
                return None
    finally:
        call.state.followers.discard(follower)
        follower.close()


async def _heard(follower: Follower, wait: timedelta) -> bool:
    """Wait for an event; false when the host is stopping."""
    try:
        await follower.next(wait)
    except FollowerEnded:
        return False
    return True
