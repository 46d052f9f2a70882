"""Reading a manifest: an object of any size that names the images of a batch, a page at a time."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from airflow_midjourney.describe.model.batch import Position
from airflow_midjourney.describe.model.errors import ImageRejectedError, ManifestError, SettingsError
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.model.text import presentable, shortened
from airflow_midjourney.describe.storage.manifest.dialect import (
    begins_json,
    detect_dialect,
    is_json_lines,
    json_items,
)
from airflow_midjourney.describe.storage.manifest.entries import (
    BadLine,
    Columns,
    Entry,
    Item,
    csv_items,
)
from airflow_midjourney.describe.storage.manifest.inventory import Inventory, read_inventory
from airflow_midjourney.describe.storage.manifest.lines import lines_of, open_content, read_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_midjourney.describe.storage.listed_images import ListedImage
    from airflow_midjourney.describe.storage.objects import ImageStore

#: Lines of a page whose objects have to be looked up one by one, and of one that says what a listing would.
LINES_TO_LOOK_UP: Final = 100
LINES_WITH_FACTS: Final = 1000

#: Bytes of a manifest.json: thousands of files.
_LARGEST_INVENTORY: Final = 16 * 1024 * 1024

#: Lines at the beginning, one of which should name an image.
_FIRST_LINES: Final = 1000

_LONGEST_NAME: Final = 80

#: Bad lines that are quoted.
EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class FileMark:
    """Where in a file of the manifest, and of which version: what :class:`Position` keeps as text.

    :param manifest: the ETag of the manifest; empty before it is read.
    :param file: the ETag of the file that it lists; empty before that is read.
    :param byte: where the next line starts in the unpacked file.
    :param line: how many lines come before.
    :param examples: the first bad lines.
    """

    manifest: str = ""
    file: str = ""
    byte: int = 0
    line: int = 0
    examples: tuple[str, ...] = ()

    def to_text(self) -> str:
        """Give what :meth:`from_text` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> FileMark:
        """Read a mark; of nothing, the beginning."""
        if not text:
            return cls()
        values: dict[str, Any] = json.loads(text)
        return cls(**values | {"examples": tuple(values["examples"])})


@dataclass(frozen=True, slots=True)
class ManifestPage:
    """Some lines of a manifest.

    :param entries: what they name: objects of the one bucket that may be read.
    :param bad: lines that name nothing, or something else.
    :param examples: the first bad lines of the whole manifest so far.
    :param is_inventory: whether they list what a bucket holds, images or not.
    :param then: where the next page starts; None at the end.
    """

    entries: tuple[Entry, ...]
    bad: tuple[BadLine, ...]
    examples: tuple[str, ...]
    is_inventory: bool
    then: Position | None


@dataclass(slots=True)
class _Opened:
    """One file of a manifest, open at a place."""

    manifest: ListedImage
    inventory: Inventory | None
    file: ListedImage
    columns: Columns | None
    items: Iterator[Item]

    @property
    def page_size(self) -> int:
        """How many lines to take at once."""
        return LINES_WITH_FACTS if self.columns is not None and self.columns.tell_facts else LINES_TO_LOOK_UP


class ManifestReader:
    """The pages of one manifest, in order; from anywhere in it after a restart.

    Stays where it is between two pages, so a compressed manifest is unpacked once and not once a page.

    :param store: S3 within ``allowed_uris``, which hold for the manifest, its files and each image.
    :param uri: ``s3://bucket/key`` of the manifest.
    :param bucket: the bucket of the images.
    :param check: called before each request for a part of it; raises what ends the reading.
    """

    def __init__(self, store: ImageStore, uri: str, bucket: str, check: Callable[[], None] = lambda: None) -> None:
        self.uri = uri
        self.bucket = bucket
        self._store = store
        self._check = check
        self._at: Position | None = None
        self._opened: _Opened | None = None

    def read(self, position: Position) -> ManifestPage:
        """Read the next page.

        :raises ManifestError: the manifest is not there, cannot be read, or was replaced since its first page.
        :raises SettingsError: it is outside ``allowed_uris``; it was not read.
        :raises StorageError: S3 cannot be read; the subclass says why.
        """
        mark = FileMark.from_text(position.after)
        # What fails half way must not be gone on with: its lines would be missing.
        opened, self._opened = self._opened, None
        with _explained(self.uri):
            if opened is None or self._at != position:
                opened = _open(self._store, self.uri, position.source, mark, self._check)
            items = list(islice(opened.items, opened.page_size))
        page = self._page(opened, items, position, mark)
        if page.then is not None and page.then.source == position.source:
            self._at, self._opened = page.then, opened
        return page

    def _page(self, opened: _Opened, items: list[Item], position: Position, mark: FileMark) -> ManifestPage:
        checked = [self._checked(item) for item in items]
        bad = tuple(item for item in checked if isinstance(item, BadLine))
        examples = (*mark.examples, *(str(line) for line in bad[:EXAMPLES]))[:EXAMPLES]
        return ManifestPage(
            entries=tuple(item for item in checked if isinstance(item, Entry)),
            bad=bad,
            examples=examples,
            is_inventory=opened.inventory is not None,
            then=_following(opened, items, position, examples),
        )

    def _checked(self, item: Item) -> Item:
        if not isinstance(item, Entry):
            return item
        if item.bucket not in (None, self.bucket):
            other = shortened(item.bucket or "", _LONGEST_NAME)
            return BadLine(item.place, f"is of the bucket {other!r}, and this batch of {self.bucket!r}")
        if not self._store.allows(f"s3://{self.bucket}/{item.key}"):
            return BadLine(item.place, "names an object outside allowed_uris")
        return item


def bucket_of(store: ImageStore, uri: str, check: Callable[[], None]) -> str:
    """Say which bucket a manifest is about: the one that its first good line names, else its own.

    :param check: called before each request for a part of it; raises what ends the reading.
    :raises DescribeError: as :meth:`ManifestReader.read`.
    """
    with _explained(uri):
        opened = _open(store, uri, 0, FileMark(), check)
        if opened.inventory is not None and opened.inventory.source_bucket:
            return opened.inventory.source_bucket
        first = next((item for item in islice(opened.items, _FIRST_LINES) if isinstance(item, Entry)), None)
    return (first and first.bucket) or opened.manifest.bucket


def split_uri(uri: str) -> tuple[str, str]:
    """Give bucket and key of ``s3://bucket/key``.

    :raises SettingsError: it is anything else.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise SettingsError(f"manifest= must be s3://bucket/key of an object that names the images, not {uri!r}.")
    return bucket, key


def _following(opened: _Opened, items: list[Item], position: Position, examples: tuple[str, ...]) -> Position | None:
    if len(items) == opened.page_size:
        place = items[-1].place
        mark = FileMark(opened.manifest.etag, opened.file.etag, place.end, place.last_line, examples)
        return Position(position.source, mark.to_text())
    files = 1 if opened.inventory is None else len(opened.inventory.files)
    if position.source + 1 >= files:
        return None
    return Position(position.source + 1, FileMark(opened.manifest.etag, examples=examples).to_text())


def _open(store: ImageStore, uri: str, number: int, mark: FileMark, check: Callable[[], None]) -> _Opened:
    """Open the manifest, or a file that it lists, at a place.

    :param number: which file of an inventory.
    :param check: called before each request.
    """
    manifest = _look_up(store, *split_uri(uri), mark.manifest)
    content = open_content(store, manifest, check)
    # Read once: what a page costs S3 should not grow with the number of questions asked of the beginning.
    source = lines_of(content, manifest)
    head = list(islice(source, _FIRST_LINES))
    first = next((line.text for line in head if line.text.strip()), "")
    is_json = manifest.key.lower().removesuffix(".gz").endswith(".json") or begins_json(first)
    if not is_json or is_json_lines(head):
        dialect = detect_dialect(head, manifest.key, manifest.uri)
        again = mark.byte > 0
        lines = lines_of(content, manifest, start=mark.byte, number=mark.line) if again else chain(head, source)
        return _Opened(manifest, None, manifest, dialect.columns, dialect.items(lines))
    whole = read_whole(store, manifest, _LARGEST_INVENTORY, check)
    listed = json_items(_json(whole))
    if listed is not None:
        return _Opened(manifest, None, manifest, None, islice(listed, mark.line, None))
    inventory = read_inventory(whole, manifest)
    if number >= len(inventory.files):
        return _Opened(manifest, inventory, manifest, inventory.columns, iter(()))
    file = _look_up(store, inventory.bucket, inventory.files[number], mark.file)
    lines = lines_of(open_content(store, file, check), file, start=mark.byte, number=mark.line)
    return _Opened(manifest, inventory, file, inventory.columns, csv_items(lines, inventory.columns))


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def first_line(store: ImageStore, uri: str, check: Callable[[], None]) -> str:
    """Give the first line that is not empty, cut, for a message.

    :param check: called before each request for a part of it; raises what ends the reading.
    :raises DescribeError: as :meth:`ManifestReader.read`.
    """
    with _explained(uri):
        manifest = store.look_up(*split_uri(uri))
        lines = lines_of(open_content(store, manifest, check), manifest)
        found = next((line.text for line in lines if line.text.strip()), "")
    return presentable(found.partition("?")[0], limit=_LONGEST_NAME)


def _look_up(store: ImageStore, bucket: str, key: str, etag: str) -> ListedImage:
    """Find a file of the manifest.

    :param etag: the version that was begun with; empty for whatever is there now.
    """
    stored = store.look_up(bucket, key)
    if etag not in ("", stored.etag):
        raise ImageRejectedError(Reason.REPLACED, "", image_uri=stored.uri)
    return stored


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Say of a manifest what is otherwise said of an image."""
    try:
        yield
    except ImageRejectedError as error:
        which = repr(uri) if error.image_uri in (None, uri) else f"{uri!r} (its file {error.image_uri!r})"
        if error.reason == Reason.REPLACED:
            raise ManifestError(
                f"The manifest {which} was replaced while it was listed. What was submitted is remembered; the next try"
                " lists the new one from its beginning. Give each manifest a path of its own.",
                retry_helps=True,
                image_uri=error.image_uri,
            ) from error
        if error.reason == Reason.ARCHIVED:
            raise ManifestError(f"The manifest {which} is archived; restore it, then clear the task.") from error
        raise ManifestError(
            f"There is no manifest {which}. Check bucket and key, and that it was written before this task runs.",
            image_uri=error.image_uri,
        ) from error
