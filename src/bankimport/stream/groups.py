"""Consumer groups as the operator sees them: which of them have lost events?"""

from datetime import datetime
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bankimport.models import Alert
from bankimport.redis.keys import Keys
from bankimport.stream.gaps import Bounds, group_has_gap
from bankimport.stream.position import Position


async def groups_behind(client: Redis, keys: Keys, now: datetime) -> list[Alert]:
    """Return an alert for each group that was away for longer than events are kept; its consumers hear
    `bank.stream.gap` when they read. It is over once they have, or once the group is destroyed.

    Raises:
        redis.ConnectionError and the others of `LOST`: Redis can't be reached.
    """
    try:
        async with client.pipeline(transaction=True) as pipe:
            pipe.xinfo_stream(keys.events)
            pipe.xinfo_groups(keys.events)
            info, groups = await pipe.execute()
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
        return []
    bounds = Bounds.of(info)
    return [_alert(group, bounds, now) for group in groups if _is_behind(group, bounds)]


def _is_behind(group: dict[str, Any], bounds: Bounds) -> bool:
    return group_has_gap(Position.of(group["last-delivered-id"]), group.get("entries-read"), bounds)


def _alert(group: dict[str, Any], bounds: Bounds, now: datetime) -> Alert:
    name = group["name"] if isinstance(group["name"], str) else group["name"].decode(errors="replace")
    return Alert(
        code=f"consumer-behind:{name}",
        message=f"the consumer group {name!r} has lost events: it read nothing for longer than they are kept",
        value=max(1, (group.get("lag") or 0) - bounds.length),
        threshold=0,
        since=now,
    )
