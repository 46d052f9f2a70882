"""What comes up while a transaction is under way goes with the next: in order, and each with its own result."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest

from airflow_midjourney.describe.engine.group_commit import Gathered

if TYPE_CHECKING:
    from collections.abc import Sequence

#: As good as for ever: only enough items end the waiting.
LONG: Final = 600.0


class Doing:
    """Doubles numbers, and remembers which came together."""

    def __init__(self) -> None:
        self.together: list[list[int]] = []

    async def __call__(self, items: Sequence[int]) -> list[int]:
        """Double some, unless a minus one is among them."""
        self.together.append(list(items))
        await asyncio.sleep(0)
        if -1 in items:
            raise ValueError("a minus one")
        return [2 * item for item in items]


def gather(doing: Doing, items: Sequence[int], at_most: int, linger: float) -> list[int | BaseException]:
    async def run() -> list[int | BaseException]:
        gathered = Gathered(doing, at_most=at_most, linger=linger)
        return await asyncio.gather(*(gathered(item) for item in items), return_exceptions=True)

    return asyncio.run(run())


def test_enough_items_wait_for_no_others_and_each_gets_its_own_result() -> None:
    doing = Doing()

    assert gather(doing, [1, 2, 3, 4], at_most=2, linger=LONG) == [2, 4, 6, 8]
    assert doing.together == [[1, 2], [3, 4]]


def test_the_last_item_makes_it_enough() -> None:
    doing = Doing()

    async def one_after_another() -> list[int]:
        gathered = Gathered(doing, at_most=2, linger=LONG)
        first = asyncio.create_task(gathered(1))
        for _ in range(5):
            await asyncio.sleep(0)
        assert doing.together == []
        return [await gathered(2), await first]

    assert asyncio.run(one_after_another()) == [4, 2]
    assert doing.together == [[1, 2]]


def test_a_lone_item_goes_when_it_has_waited() -> None:
    doing = Doing()

    assert gather(doing, [1, 2, 3], at_most=2, linger=0.01) == [2, 4, 6]
    assert doing.together == [[1, 2], [3]]


def test_a_second_lone_item_waits_for_others_again() -> None:
    doing = Doing()

    async def two_rounds() -> None:
        gathered = Gathered(doing, at_most=2, linger=LONG)
        await asyncio.gather(gathered(1), gathered(2))
        third = asyncio.create_task(gathered(3))
        for _ in range(5):
            await asyncio.sleep(0)
        assert doing.together == [[1, 2]]
        assert await gathered(4) == 8
        await third

    asyncio.run(two_rounds())
    assert doing.together == [[1, 2], [3, 4]]


def test_an_error_is_that_of_all_that_went_together_and_of_no_others() -> None:
    first, second, *others = gather(Doing(), [1, -1, 3, 4], at_most=2, linger=LONG)

    assert isinstance(first, ValueError)
    assert isinstance(second, ValueError)
    assert others == [6, 8]


@pytest.mark.parametrize("item", [1, -1])
def test_one_that_does_not_wait_any_more_disturbs_no_other(item: int) -> None:
    doing = Doing()

    async def run() -> int | BaseException:
        gathered = Gathered(doing, at_most=2, linger=LONG)
        first, second = asyncio.create_task(gathered(5)), asyncio.create_task(gathered(item))
        while not doing.together:
            await asyncio.sleep(0)
        first.cancel()
        (result,) = await asyncio.gather(second, return_exceptions=True)
        return result

    result = asyncio.run(run())

    assert result == 2 if item == 1 else isinstance(result, ValueError)
