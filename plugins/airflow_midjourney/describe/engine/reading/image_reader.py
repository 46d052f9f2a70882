"""Reading one reserved image and bringing it into the form that is sent: the same at once and ahead of its turn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.engine.group_commit import Gathered
from airflow_midjourney.describe.engine.refusals.denials import as_listed
from airflow_midjourney.describe.imaging.prepare import PreparedImage, prepare, reader_fingerprint
from airflow_midjourney.describe.table import leases
from airflow_midjourney.describe.table.claims import ContentFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.storage.listed_images import StoredImage
    from airflow_midjourney.describe.table.leases import ReservedImage

#: Images about to be decoded, claims, and answers to POSTs, that are committed together.
TOGETHER: Final = 16

#: Seconds that one of these waits for others to be committed with: little beside what a POST takes.
LINGER: Final = 0.02


@dataclass(frozen=True, slots=True)
class ReadyImage:
    """An image that only has to be claimed and posted.

    :param content: what its row is told of its bytes.
    """

    prepared: PreparedImage
    content: ContentFacts


class ImageReader:
    """Reads reserved images side by side. Belongs to one event loop.

    :param holder: under which the rows are reserved.
    """

    def __init__(self, worker: Worker, holder: str, *, strip_metadata: bool) -> None:
        self._worker = worker
        self._holder = holder
        self._strip_metadata = strip_metadata
        self._suspicions = Gathered(self._suspect_some, at_most=TOGETHER, linger=LINGER)

    async def read(self, row: ReservedImage, note_read: Callable[[], None] = lambda: None) -> ReadyImage:
        """Read, check and encode an image.

        :param note_read: called once S3 has given the object, whatever is in it.
        :raises ImageRejectedError: it cannot be sent.
        :raises StorageError: S3 cannot be read, or denies this object.
        """
        stored = await asyncio.to_thread(self._fetch, row)
        note_read()
        # A worker that dies from here on may have died of the image.
        await self._suspicions(row)
        return await asyncio.to_thread(self._prepare, stored)

    def _fetch(self, row: ReservedImage) -> StoredImage:
        def suspect() -> None:
            self._worker.database.write_here(leases.suspect, [row], self._holder)

        return self._worker.images.read(as_listed(row), suspect)

    async def _suspect_some(self, held: Sequence[ReservedImage]) -> Sequence[None]:
        await self._worker.database.write(leases.suspect, held, self._holder)
        return [None] * len(held)

    def _prepare(self, stored: StoredImage) -> ReadyImage:
        prepared = prepare(stored.body, image_uri=stored.image.uri, strip_metadata=self._strip_metadata)
        content = ContentFacts(
            content_sha256=prepared.content_sha256,
            media_type=prepared.media_type,
            width=prepared.width,
            height=prepared.height,
            version_id=stored.version_id,
            reader=reader_fingerprint(),
        )
        return ReadyImage(prepared, content)
