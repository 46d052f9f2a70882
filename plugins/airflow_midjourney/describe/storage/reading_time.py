"""How long a request to S3 may take: boto3 bounds each piece of an answer only, and a drip keeps to that for hours."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from botocore.parsers import ResponseParserError

from airflow_midjourney.describe.model.errors import ObjectUnavailableError, StorageUnavailableError
from airflow_midjourney.describe.storage.alarms import Alarms
from airflow_midjourney.describe.storage.answer_roots import OtherAnswerError
from airflow_midjourney.describe.storage.errors import BROKEN_STREAM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.storage.errors import Place

#: Seconds that an answer may take however small it is: one read timeout of the connection, and another attempt.
SHORTEST_READ: Final = 90.0

#: Bytes a second that a body has to come with beyond that.
SLOWEST_READ: Final = 100_000

#: Seconds that no answer may take longer than. A worker's lease is five minutes: what it reads later it may not send.
LONGEST_READ: Final = 240.0

#: Bytes that stand for a page of a listing: a server that has to look for its keys is given as long as it can be.
LISTING_BYTES: Final = 100_000_000

#: What a request ends with that is broken off: headers, a listing that is half an XML, or half a body.
_BROKEN_OFF: Final = (*BROKEN_STREAM, ResponseParserError, OtherAnswerError)

_of_this_thread = threading.local()


class _OfThisProcess:
    """The alarms of one process: those of the one that it was forked from would break off that one's requests."""

    def __init__(self) -> None:
        self.alarms = Alarms()


_of_this_process: Final = _OfThisProcess()
os.register_at_fork(after_in_child=_of_this_process.__init__)  # type: ignore[misc]


class ReadingTime:
    """The time that the attempts to read something have together, from now on.

    :param place: what is read, for the message.
    :param size_bytes: how many bytes are expected.
    """

    def __init__(self, place: Place, size_bytes: int) -> None:
        self._place = place
        self.seconds = min(SHORTEST_READ + size_bytes / SLOWEST_READ, LONGEST_READ)
        self._ends_at = time.monotonic() + self.seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_over = False
        self._has_broken_off = False

    @contextmanager
    def bounds(self) -> Iterator[None]:
        """Break off the requests of this thread in the block when the time is over, headers and bodies alike.

        The client has to be one that :func:`bound_requests` was told of.

        :raises ObjectUnavailableError: if it was, and an object was read.
        :raises StorageUnavailableError: if it was.
        """
        times = _times_of_this_thread()
        times.append(self)
        try:
            with _of_this_process.alarms.at(self._ends_at, self._end):
                yield
        except _BROKEN_OFF:
            self.check()
            raise
        else:
            # Half of the headers, or of a part of a body, looks whole to boto3.
            if self._has_broken_off:
                self.check()
        finally:
            times.remove(self)
            # The connection is the next request's.
            self.wait_on(None)

    def check(self) -> None:
        """Say whether there is time left.

        :raises ObjectUnavailableError: if not, and an object is read.
        :raises StorageUnavailableError: if not.
        """
        if time.monotonic() < self._ends_at:
            return
        unavailable = StorageUnavailableError if self._place.key is None else ObjectUnavailableError
        raise unavailable(
            f"S3 sends {self._place} too slowly: the whole of it had not come after {self.seconds:.0f} seconds. If"
            " this lasts, check the store and the network on the way to it.",
            retry_helps=True,
            image_uri=self._place.uri,
        )

    def wait_on(self, connected: socket.socket | None) -> None:
        """Note where the answer is waited for; None for nowhere any more."""
        with self._lock:
            self._socket = connected
            # Connecting, and sending, may have taken all of it.
            self._break_off_if_over()

    def _end(self) -> None:
        with self._lock:
            self._is_over = True
            self._break_off_if_over()

    def _break_off_if_over(self) -> None:
        if self._socket is None or not self._is_over:
            return
        self._has_broken_off = True
        # What waits for a piece wakes up. TLS is not taken leave of: that would wait, too.
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def bound_requests(client: S3Client) -> None:
    """Let the requests of a client keep to the reading times of their thread.

    :param client: is changed; twice is the same. It must not have sent anything yet.
    """
    client.meta.events.register_first("before-send.s3", _check_time, unique_id="airflow-midjourney-reading-time")
    # boto3 has no other door to its connections.
    pools = client._endpoint.http_session._pool_classes_by_scheme  # type: ignore[attr-defined]
    pools.update({scheme: _watched(pool) for scheme, pool in pools.items()})


def _times_of_this_thread() -> list[ReadingTime]:
    if not hasattr(_of_this_thread, "times"):
        _of_this_thread.times = []
    times: list[ReadingTime] = _of_this_thread.times
    return times


def _check_time(**_: Any) -> None:
    # boto3 would try again what was broken off.
    for reading_time in _times_of_this_thread():
        reading_time.check()


class _Watched:
    """A connection of which a reading time knows while it waits for an answer."""

    sock: Any

    def getresponse(self, *arguments: Any, **options: Any) -> Any:
        # A proxy that is spoken to by TLS, too, has the socket one layer below.
        connected = getattr(self.sock, "socket", self.sock)
        for reading_time in _times_of_this_thread():
            reading_time.wait_on(connected)
        return super().getresponse(*arguments, **options)  # type: ignore[misc]


def _watched(pool: Any) -> Any:
    connection = pool.ConnectionCls
    if issubclass(connection, _Watched):
        return pool
    watched = type(connection.__name__, (_Watched, connection), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": watched})
