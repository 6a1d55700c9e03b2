"""How requests of organisations take turns."""

import asyncio

from bankimport.web.limits import Pace


async def _turns(pace: Pace, order: list[tuple[int, str]], turn: list[int], name: str) -> None:
    await pace.turn(name)
    order.append((turn[0], name))


async def test_a_few_begin_in_each_turn_of_the_loop() -> None:
    """Of a hundred at once eight begin in each turn, in their order; another organisation's begins in the next one."""
    pace, order, turn = Pace(8), list[tuple[int, str]](), [0]
    tasks = [asyncio.create_task(_turns(pace, order, turn, "acme")) for _ in range(100)]
    tasks.append(asyncio.create_task(_turns(pace, order, turn, "globex")))
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        turn[0] += 1
    begun = [[name for at, name in order if at == each] for each in range(turn[0])]
    assert max(map(len, begun)) == 8
    assert len([each for each in begun if each]) == 13
    assert "globex" in [names for names in begun if names][1]


async def test_one_alone_does_not_wait() -> None:
    """Without a crowd a request begins at once."""
    pace = Pace(1)
    for _ in range(3):
        turn = pace.turn("acme")
        try:
            turn.send(None)
        except StopIteration:
            await asyncio.sleep(0)
        else:
            raise AssertionError("it waited")


async def test_who_has_gone_takes_no_turn() -> None:
    """A client that goes while it waits costs nobody a turn, and nothing is left of it."""
    pace, order, turn = Pace(1), list[tuple[int, str]](), [0]
    tasks = [asyncio.create_task(_turns(pace, order, turn, str(number))) for number in range(4)]
    await asyncio.sleep(0)
    for task in tasks[1:3]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [name for _, name in order] == ["0", "3"]
    for _ in range(3):
        await asyncio.sleep(0)
    assert not pace._waiting
