"""Copying images along, to files of their own or for the format's: byte by byte the version that was described."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.exports.selection import LeftOut
from airflow_midjourney.describe.model.errors import ImageRejectedError
from airflow_midjourney.describe.storage.listed_images import ListedImage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_midjourney.describe.exports.format import Files
    from airflow_midjourney.describe.queries.rows import DescribedImage
    from airflow_midjourney.describe.storage.objects import ImageStore

#: Images read at once: what is held in memory is so many times the largest image.
COPIES_SIDE_BY_SIDE: Final = 8


class Copier:
    """Copies images from where they were described to a target. Use :func:`open_copier`.

    :param images: where to read them; its ``allowed_uris`` bound what is read.
    """

    def __init__(self, images: ImageStore, files: Files, threads: ThreadPoolExecutor) -> None:
        self._images = images
        self._files = files
        self._threads = threads

    def copy(self, wanted: Sequence[tuple[DescribedImage, str]]) -> list[LeftOut | None]:
        """Copy some images, side by side.

        :param wanted: images, and the names of their files.
        :return: for each, why it was not copied; None if it was.
        :raises StorageError: if S3 cannot be read or the target not be written.
        """
        outcomes: list[LeftOut | None] = []
        for start in range(0, len(wanted), COPIES_SIDE_BY_SIDE):
            some = wanted[start : start + COPIES_SIDE_BY_SIDE]
            bodies = self.read([image for image, _ in some])
            for (_, name), body in zip(some, bodies, strict=True):
                if isinstance(body, bytes):
                    self._files.put(name, body)
                outcomes.append(None if isinstance(body, bytes) else body)
        return outcomes

    def read(self, images: Sequence[DescribedImage]) -> list[bytes | LeftOut]:
        """Read some images side by side, all of which are then in memory.

        :param images: at most ``COPIES_SIDE_BY_SIDE``.
        :return: for each, its bytes, or why it was not read.
        :raises StorageError: if S3 cannot be read.
        """
        return list(self._threads.map(self._read, images))

    def _read(self, image: DescribedImage) -> bytes | LeftOut:
        if not self._images.allows(image.image_uri):
            return LeftOut.NOT_ALLOWED
        if image.etag is None or image.last_modified is None:
            return LeftOut.VANISHED
        listed = ListedImage(
            bucket=image.bucket,
            key=image.key,
            etag=image.etag,
            size_bytes=image.size_bytes or 0,
            last_modified=image.last_modified,
            storage_class=image.storage_class or "STANDARD",
            restored=True,
        )
        try:
            return self._images.read(listed).body
        except ImageRejectedError:
            return LeftOut.VANISHED


@contextmanager
def open_copier(images: ImageStore, files: Files) -> Iterator[Copier]:
    """Make a copier with threads of its own."""
    with ThreadPoolExecutor(COPIES_SIDE_BY_SIDE, thread_name_prefix="copy") as threads:
        yield Copier(images, files, threads)
