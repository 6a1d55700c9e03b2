"""Taking an organisation's entries out of a stream, which is written anew without them."""

from typing import Any

from bankimport.redis.connection import patiently
from bankimport.redis.declaring import Declared, script
from bankimport.redis.scripts import Place

_SLICE = 250


def _copied(answer: tuple[bytes, int]) -> tuple[str, int]:
    return answer[0].decode(), int(answer[1])


class _Rewriting(Declared):
    """The script of it."""

    @script(_copied)
    def rewrite_stream(self, stream: str, org: str, after: str, removed: int, slice: int) -> Any: ...  # noqa: A002  # a script's argument


async def rewritten(place: Place, stream: str, org_id: str) -> int:
    """Write a stream ('events' or 'progress') anew without an organisation's entries; return how many they were.

    Raises:
        Unavailable: Redis can't be reached. The stream is as it was.
    """
    await patiently(lambda: place.client.delete(place.keys.of("copy", stream)))
    rewrite, after, removed = _Rewriting(place.scripts).rewrite_stream, "0-0", 0
    while after:
        after, removed = await rewrite(stream, org_id, after, removed, _SLICE)
    return removed
