"""A thousand requests at once, as a process of its own, once a line comes in: python flood.py URL NUMBER"""

import asyncio
import sys
from collections import Counter

import aiohttp


async def main(url: str, number: int) -> None:
    """Send them, and print what they were answered."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"Authorization": "Bearer token"}) as session:

        async def post(index: int) -> int:
            async with session.post(url, json={"triggeredBy": f"flood-{index}"}) as answer:
                await answer.read()
                return answer.status

        print("ready", flush=True)
        sys.stdin.readline()
        found = await asyncio.gather(*map(post, range(number)), return_exceptions=True)
    print(Counter(each if isinstance(each, int) else type(each).__name__ for each in found), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
