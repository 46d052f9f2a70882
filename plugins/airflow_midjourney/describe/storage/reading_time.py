"""How long the body of an object may take: boto3 bounds each piece of it only, and a drip keeps to that for hours."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.errors import ObjectUnavailableError
from airflow_midjourney.describe.storage.errors import BROKEN_STREAM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.response import StreamingBody

    from airflow_midjourney.describe.storage.errors import Place

#: Seconds that a body may take however small it is: one read timeout of the connection, and another attempt after it.
SHORTEST_READ: Final = 90.0

#: Bytes a second that a body has to come with beyond that.
SLOWEST_READ: Final = 100_000

#: Seconds that no body may take longer than. A worker's lease is five minutes: what it reads later it may not send.
LONGEST_READ: Final = 240.0

#: Seconds without a piece after which a body ends whose time is over. Zero would mean to not wait at all.
_NO_TIME: Final = 0.001


class ReadingTime:
    """The time that the attempts to read some bytes have together, from now on.

    :param place: what is read, for the message.
    :param size_bytes: how many bytes are expected.
    """

    def __init__(self, place: Place, size_bytes: int) -> None:
        self._place = place
        self.seconds = min(SHORTEST_READ + size_bytes / SLOWEST_READ, LONGEST_READ)
        self._ends_at = time.monotonic() + self.seconds

    @contextmanager
    def bounds(self, stream: StreamingBody) -> Iterator[None]:
        """Break off the reading of a body in the block when the time is over.

        :raises ObjectUnavailableError: if it was.
        """
        timer = threading.Timer(max(self._ends_at - time.monotonic(), 0.0), _break_off, [stream])
        timer.daemon = True
        timer.start()
        try:
            yield
        except BROKEN_STREAM:
            self.check()
            raise
        finally:
            timer.cancel()

    def check(self) -> None:
        """Say whether there is time left.

        :raises ObjectUnavailableError: if not.
        """
        if time.monotonic() >= self._ends_at:
            raise ObjectUnavailableError(
                f"S3 sends {self._place} too slowly: the whole of it had not come after {self.seconds:.0f} seconds. If"
                " this lasts, check the store and the network on the way to it.",
                retry_helps=True,
                image_uri=self._place.uri,
            )


def _break_off(stream: StreamingBody) -> None:
    # The piece that is waited for may still come; there is no time for another. A body that has ended meanwhile has no
    # connection any more.
    with suppress(AttributeError):
        stream.set_socket_timeout(_NO_TIME)
