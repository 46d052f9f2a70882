from __future__ import annotations

import asyncio
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.testing.simulator.account import Account


async def forever() -> None:
    await asyncio.Event().wait()


def admitted(slots: int, queue: int, count: int) -> list[int | None]:
    async def admit() -> list[int | None]:
        account = Account(slots, queue)
        ahead = [account.admit(str(number), forever) for number in range(count)]
        assert account.high_water == min(count, slots + queue)
        account.drop_everything()
        return ahead

    return asyncio.run(admit())


def test_three_run_the_first_waiter_has_nobody_ahead_and_the_fourteenth_is_turned_away() -> None:
    assert admitted(3, 10, 14) == [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, None]


@settings(max_examples=30, deadline=None)
@given(slots=st.integers(1, 5), queue=st.integers(0, 5), count=st.integers(0, 20))
def test_as_many_are_admitted_as_there_is_room(slots: int, queue: int, count: int) -> None:
    ahead = admitted(slots, queue, count)
    assert sum(place is not None for place in ahead) == min(count, slots + queue)


def test_a_freed_slot_goes_to_who_waits_longest() -> None:
    async def play() -> list[str]:
        account, order, gate = Account(1, 5), [], asyncio.Event()

        async def work(name: str) -> None:
            order.append(name)
            await gate.wait()

        for name in "abc":
            account.admit(name, partial(work, name))
        await asyncio.sleep(0)
        assert order == ["a"]
        account.withdraw("b")
        account.withdraw("a")
        await asyncio.sleep(0.01)
        gate.set()
        await asyncio.sleep(0.01)
        assert (account.running, account.waiting) == (0, 0)
        return order

    assert asyncio.run(play()) == ["a", "c"]


def test_more_slots_let_those_who_wait_move_up() -> None:
    async def play() -> tuple[int, int]:
        account = Account(1, 5)
        for number in range(4):
            account.admit(str(number), forever)
        account.resize(3, 5)
        numbers = account.running, account.waiting
        account.drop_everything()
        return numbers

    assert asyncio.run(play()) == (3, 1)
