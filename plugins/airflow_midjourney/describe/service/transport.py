"""HTTP with the describe service: how a request is made and what comes back. It judges nothing."""

from __future__ import annotations

import asyncio
import math
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt
from tenacity.wait import wait_exponential, wait_random
from urllib3.exceptions import InvalidHeader
from urllib3.util.retry import Retry

from airflow_midjourney._version import __version__
from airflow_midjourney.describe.model.clock import awake_or_asleep
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.text import presentable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from types import TracebackType

    from airflow_midjourney.describe.service.settings import ServiceSettings

#: No key has quotes or braces: they are of the file or the template that it was copied from.
_BARE_KEY: Final = re.compile(r"[^\"'`{}<>\x00-\x20\x7f-\U0010ffff]*")

#: Seconds that connecting, and waiting for a free connection, may take at most, well within the total
#: deadline: only a failure before the request began says for sure that nothing was sent.
_LONGEST_CONNECT: Final = 10.0

_JSON: Final = {"Content-Type": "application/json"}

#: Seconds that a connection is kept for the next request. Many servers close theirs after five, and a POST that meets a
#: connection just being closed has no answer: it stays unknown whether it was taken.
_KEPT_FOR: Final = 2.0

#: Errors that come before the first byte of the request.
_NOTHING_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)

#: What is said of a request whose last bytes were not sent.
HELD_BACK: Final = "Its worker was held up for too long between claiming and sending."

#: Bytes of a body that are held back until it is sure that they are in time.
_LAST_BYTES: Final = 64

#: A longer wait than a day is a mistake of the service.
_RETRY_AFTER: Final = Retry(retry_after_max=86_400)

_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered.

    :param body: decompressed; cut after the limit.
    :param complete: False if the body was longer than the limit.
    """

    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)
    complete: bool = True


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """There was no whole answer.

    :param nothing_sent: True if the request surely never left.
    :param description: what went wrong, without the request.
    :param held_back: True if it was this process that did not send it in time.
    """

    nothing_sent: bool
    description: str
    held_back: bool = False


class _HeldBackError(Exception):
    """The last bytes of a request would have been sent too late."""


class Transport:
    """A connection pool that speaks to one service with its key.

    :param settings: where it is, and how the key is sent.
    :param transport: what to use in place of the network.
    :raises SettingsError: if the key cannot stand in a header, or ``verify`` names no readable bundle.
    """

    def __init__(self, settings: ServiceSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        before_sending = min(_LONGEST_CONNECT, settings.timeout / 4)
        self._client = httpx.AsyncClient(
            base_url=settings.base_url,
            headers=_headers(settings),
            timeout=httpx.Timeout(settings.timeout, connect=before_sending, pool=before_sending),
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=_KEPT_FOR),
            verify=_tls(settings),
            follow_redirects=False,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, traceback)

    async def exchange(
        self, method: str, path: str, *, limit: int, body: bytes | None = None, complete_before: float = math.inf
    ) -> Answer | NoAnswer:
        """Send one request and read the answer within the total deadline. Raises nothing but cancellation.

        :param path: below the base URL.
        :param limit: bytes of the body to read at most.
        :param body: JSON to send.
        :param complete_before: the moment, by :func:`awake_or_asleep`, after which the last bytes of the body are held
            back: a service does nothing with a request that is not whole.
        """
        return await self._in_time(self._exchange(method, path, limit, body, complete_before))

    async def stream(self, method: str, path: str, take: Callable[[bytes], bool], *, limit: int) -> Answer | NoAnswer:
        """Send one request and hand a good answer on while it arrives, within the total deadline.

        :param take: gets each part of the body of an answer 200, and says whether it wants more.
        :param limit: bytes of the body that the answer itself keeps, its first ones.
        """
        return await self._in_time(self._stream(method, path, take, limit))

    async def _in_time(self, answer: Coroutine[None, None, Answer]) -> Answer | NoAnswer:
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await answer
        except _NOTHING_SENT as error:
            return NoAnswer(nothing_sent=True, description=self._words(error))
        except _HeldBackError:
            return NoAnswer(nothing_sent=True, description=HELD_BACK, held_back=True)
        except TimeoutError:
            return NoAnswer(nothing_sent=False, description=f"no whole answer within {self._settings.timeout:g} s")
        except (httpx.HTTPError, OSError) as error:
            return NoAnswer(nothing_sent=False, description=self._words(error))

    async def _stream(self, method: str, path: str, take: Callable[[bytes], bool], limit: int) -> Answer:
        async with self._client.stream(method, path) as response:
            kept = bytearray()
            async for part in response.aiter_bytes():
                kept += part[: limit - len(kept)]
                if response.status_code == httpx.codes.OK and not take(part):
                    break
            return Answer(response.status_code, response.headers, bytes(kept))

    async def _exchange(self, method: str, path: str, limit: int, body: bytes | None, complete_before: float) -> Answer:
        headers: dict[str, str] = {} if body is None else _JSON
        content: bytes | AsyncIterator[bytes] | None = body
        if body is not None and complete_before < math.inf:
            headers = headers | {"Content-Length": str(len(body))}
            content = _held_back(body, complete_before)
        async with self._client.stream(method, path, content=content, headers=headers) as response:
            answer = bytearray()
            async for part in response.aiter_bytes():
                answer += part
                if len(answer) > limit:
                    return Answer(response.status_code, response.headers, bytes(answer[:limit]), complete=False)
            return Answer(response.status_code, response.headers, bytes(answer))

    def _words(self, error: Exception) -> str:
        kind = type(error).__name__
        # Messages of protocol errors may quote a header; those of the network name an address at most.
        if not isinstance(error, httpx.NetworkError):
            return kind
        words = presentable(str(error), hidden=(self._settings.key,))
        return f"{kind}: {words}" if words else kind


async def _held_back(body: bytes, complete_before: float) -> AsyncIterator[bytes]:
    """Give a body whose last bytes are sent only in time, however long the process or its machine slept meanwhile.

    :raises _HeldBackError: if it is too late.
    """
    yield body[:-_LAST_BYTES]
    if awake_or_asleep() >= complete_before:
        raise _HeldBackError
    yield body[-_LAST_BYTES:]


def _headers(settings: ServiceSettings) -> dict[str, str]:
    headers = {"User-Agent": f"airflow-provider-midjourney/{__version__}", "Accept": "application/json"}
    key = settings.key.strip()
    if not _BARE_KEY.fullmatch(key):
        raise SettingsError(
            f"the password of connection {settings.name!r} has to be the bare API key: no 'Bearer', no spaces,"
            " no quotes or braces"
        )
    if not key:
        return headers
    if settings.auth == "bearer":
        return {**headers, "Authorization": f"Bearer {key}", "mj-api-secret": key}
    if settings.auth == "secret":
        return {**headers, "mj-api-secret": key}
    return {**headers, "Authorization": key}


def _tls(settings: ServiceSettings) -> ssl.SSLContext | bool:
    if isinstance(settings.verify, bool):
        return settings.verify
    bundle = Path(settings.verify)
    try:
        if bundle.is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"the extra 'verify' of connection {settings.name!r} names no CA bundle: {type(error).__name__}"
        ) from None


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Read ``Retry-After``, which is a number of seconds or a date; None where there is none.

    :param headers: of the answer, in any case.
    """
    value = httpx.Headers(dict(headers)).get("retry-after", "")
    try:
        # Some gateways send fractions of a second, which the header does not have.
        return float(_RETRY_AFTER.parse_retry_after(value.partition(".")[0]))
    except (InvalidHeader, ValueError, OverflowError):
        return None


def sent_at(headers: Mapping[str, str]) -> datetime | None:
    """Read ``Date``: when an answer was made, by the clock of the server; None where it does not say so.

    It may come in any of the three forms of RFC 9110, 5.6.7. All are UTC, also where they name no zone, or ``-0000``.

    :param headers: of the answer, in any case.
    """
    try:
        moment = parsedate_to_datetime(httpx.Headers(dict(headers)).get("date", ""))
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


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
