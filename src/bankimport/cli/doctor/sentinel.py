"""Looking at Sentinel: does each answer, do they know the primary, could they replace it?"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from bankimport.settings import Settings


@dataclass(frozen=True, slots=True)
class SentinelFacts:
    """What one Sentinel says: an error's words, or none; the replicas it knows; why it could not agree with others."""

    place: str
    trouble: str | None = None
    is_known: bool = True
    replicas: int = 0
    no_quorum: str | None = None


async def asked(settings: Settings, patience: float) -> Sequence[SentinelFacts]:
    """Return what each Sentinel says."""
    name = settings.redis_sentinel_master
    return await asyncio.gather(*(_one(host, port, name, patience) for host, port in settings.redis_sentinels))


async def _one(host: str, port: int, name: str, patience: float) -> SentinelFacts:
    place = f"{host}:{port}"
    client = Redis(host=host, port=port, decode_responses=True)
    try:
        async with asyncio.timeout(patience):
            if name not in await client.sentinel_masters():
                return SentinelFacts(place, is_known=False)
            replicas = await client.sentinel_slaves(name)
            return SentinelFacts(place, replicas=len(replicas), no_quorum=await _quorum(client, name))
    except (RedisError, OSError, TimeoutError) as error:
        return SentinelFacts(place, f"does not answer ({type(error).__name__})")
    finally:
        await client.aclose()


async def _quorum(client: Redis, name: str) -> str | None:
    try:
        await client.execute_command("SENTINEL CKQUORUM", name)
    except ResponseError as error:
        return str(error)[:120]
    return None
