"""`Idempotency-Key`: the same key and body within 24 hours give the same answer; another body is refused."""

import hashlib
import json
import re
from collections.abc import Awaitable
from datetime import timedelta

import structlog
from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bankimport.errors import Conflict, InvalidRequest
from bankimport.redis.connection import LOST, on_its_own, unavailable
from bankimport.redis.deadline import GRACE, left
from bankimport.redis.keys import Keys
from bankimport.web.call import Call, Handle
from bankimport.web.given import Answer, Answers

_log = structlog.get_logger(__name__)

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[!-~]{1,255}")
KEPT = timedelta(hours=24)
#: A claim whose process died is free again after this. What is done to very many jobs may take longer: done twice it is
#: as if done once.
CLAIMED = timedelta(seconds=60)


class KeyReused(InvalidRequest):
    """The key was sent with another request."""

    code = "idempotency-key-reused"

    def __init__(self) -> None:
        super().__init__(f"/{HEADER}", "was already used for another request")


class KeyInUse(Conflict):
    """The same request is being answered just now."""

    code = "idempotency-key-in-use"

    def __init__(self) -> None:
        super().__init__("the same request is being answered just now; send it again in a moment")


class RedisAnswers:
    """Answers in Redis: one string a key, `<digest>\\n<answer>`, the answer empty while it is being made."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def claim(self, key: str, digest: str) -> Answer | None:
        """Take the key, or return what was answered; see the port."""
        name = self._keys.of("idempotency", key)
        try:
            # NX with GET in one command needs Redis 7; SET NX first is as atomic: who sets it has it.
            if await self._client.set(name, f"{digest}\n", nx=True, px=CLAIMED):
                return None
            kept = await self._client.get(name)
        except LOST as error:
            raise unavailable(error) from error
        if kept is None:  # it ended between the two commands
            raise KeyInUse
        text = kept if isinstance(kept, str) else kept.decode()
        owner, _, told = text.partition("\n")
        if owner != digest:
            raise KeyReused
        if not told:
            raise KeyInUse
        return Answer(**json.loads(told))

    async def remember(self, key: str, digest: str, answer: Answer) -> None:
        """Keep the answer."""
        told = json.dumps({"status": answer.status, "text": answer.text, "location": answer.location})
        await self._client.set(self._keys.of("idempotency", key), f"{digest}\n{told}", px=KEPT)

    async def forget(self, key: str, digest: str) -> None:
        """Give the claim back."""
        await self._client.delete(self._keys.of("idempotency", key))


def _digest(*parts: str | bytes) -> str:
    text = b"\n".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.blake2b(text, digest_size=16).hexdigest()


async def once(call: Call, answers: Answers, handle: Handle) -> web.StreamResponse:
    """Answer a POST, or repeat what was answered to the same one.

    A key belongs to its organisation; route and body are what it stands for. Only a success is kept: an error has
    changed nothing, so the request may be sent again.
    """
    told = call.request.headers.get(HEADER)
    if told is None:
        return await handle(call)
    if not _KEY.fullmatch(told):
        raise InvalidRequest(f"/{HEADER}", "must be 1 to 255 printable ASCII characters without blanks")
    key, digest = _digest(call.org_id, told), _digest(call.request.method, call.request.path, call.body)
    known = await call.service.bounds.within(on_its_own(lambda: answers.claim(key, digest), left()))
    if known is not None:
        return _repeated(known)
    try:
        response = await handle(call)
    except BaseException:
        await _quietly(answers.forget(key, digest))
        raise
    text = (response.text if isinstance(response, web.Response) else None) or ""
    answer = Answer(response.status, text, response.headers.get("Location"))
    await _quietly(answers.remember(key, digest, answer))
    return response


async def _quietly(step: Awaitable[None]) -> None:
    """Let Redis going away after the work was done neither change nor delay the answer; the claim ends by itself."""
    try:
        await on_its_own(lambda: step, left() + GRACE)
    except (RedisError, OSError):  # a TimeoutError is an OSError
        _log.warning("web.answer_not_kept")


def _repeated(answer: Answer) -> web.Response:
    headers = {"Idempotency-Replayed": "true", "Cache-Control": "no-store"}
    if answer.location is not None:
        headers["Location"] = answer.location
    return web.Response(status=answer.status, text=answer.text, content_type="application/json", headers=headers)
