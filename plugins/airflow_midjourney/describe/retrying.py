"""How reads are repeated. Submits never are: the service bills each one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt
from tenacity.wait import wait_exponential, wait_random

from airflow_midjourney.describe.retry_after import retry_after_seconds
from airflow_midjourney.describe.transport import Answer, NoAnswer

_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

Exchange = Callable[[], Awaitable[Answer | NoAnswer]]


@dataclass(frozen=True, slots=True)
class ReadRetries:
    """How often and after which waits a read is repeated.

    :param attempts: how often it is sent in all.
    :param first_wait: seconds before the second attempt, doubled each time; up to as much again is added at
        random, so that many clients do not come back at once.
    :param longest_wait: seconds before any attempt, at most, without what is added at random.
    :param longest_retry_after: seconds of ``Retry-After`` that are waited for; a service that asks for more
        is left alone, and the read ends with the answer it has.
    :param sleep: how to wait.
    """

    attempts: int = 4
    first_wait: float = 0.5
    longest_wait: float = 8.0
    longest_retry_after: float = 30.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def read(self, exchange: Exchange) -> Answer | NoAnswer:
        """Send a read until its answer is one that another attempt would not change, or attempts run out."""
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.attempts),
            wait=self._wait,
            retry=retry_if_result(self._is_worth_another),
            retry_error_callback=_last_answer,
            sleep=self.sleep,
        )

        async def attempt() -> Answer | NoAnswer:
            # tenacity awaits what it can see to be a coroutine function; a lambda hides that.
            return await exchange()

        return await retrying(attempt)

    def _is_worth_another(self, answer: Answer | NoAnswer) -> bool:
        if isinstance(answer, NoAnswer):
            return True
        asked = retry_after_seconds(answer.headers) or 0.0
        return answer.status in _TRANSIENT and asked <= self.longest_retry_after

    def _wait(self, state: RetryCallState) -> float:
        own = wait_exponential(multiplier=self.first_wait, max=self.longest_wait)(state)
        jitter = wait_random(0, self.first_wait)(state)
        answer = _last_answer(state)
        asked = retry_after_seconds(answer.headers) if isinstance(answer, Answer) else None
        return max(own + jitter, asked or 0.0)


def _last_answer(state: RetryCallState) -> Answer | NoAnswer:
    if state.outcome is None:
        raise RuntimeError("asked for the answer of a read that was never sent")
    answer: Answer | NoAnswer = state.outcome.result()
    return answer


def is_transient(answer: Answer | NoAnswer) -> bool:
    """Tell whether a later attempt may fare better."""
    return isinstance(answer, NoAnswer) or answer.status in _TRANSIENT
