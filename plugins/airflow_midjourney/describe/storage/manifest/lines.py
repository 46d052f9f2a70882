"""The lines of a stored object of any size: read in parts, unpacked, never all in memory."""

from __future__ import annotations

import codecs
import io
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import BadGzipFile, GzipFile
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from airflow_midjourney.describe.model.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed import WriteableBuffer

    from airflow_midjourney.describe.storage.listed_images import ListedImage
    from airflow_midjourney.describe.storage.objects import ImageStore

#: Bytes of one request, and of what is kept in memory of an object.
PART: Final = 1024 * 1024

#: Bytes of a line that may still name a key of 1,024 bytes, each of them written as ``%20``.
LONGEST_LINE: Final = 16 * 1024

#: Bytes after which a line shows that the file has no lines at all.
_NO_LINE: Final = 1024 * 1024

#: Unpacked bytes that any archive may have, and how often its own size a larger one may: lists of keys have 5 to 50.
_UNPACKED_AT_LEAST: Final = 64 * 1024 * 1024
_UNPACKED_TIMES: Final = 250

_HEAD: Final = 1024

#: Bytes of UTF-16 that are decoded in one go.
_DECODED_AT_ONCE: Final = 64 * 1024

_GZIP: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_NOT_READ: Final = {
    b"\xff\xfe\0\0": "UTF-32 text",
    b"\0\0\xfe\xff": "UTF-32 text",
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"BZh": "a bzip2 archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"SQLite format 3\x00": "a database",
    b"%PDF-": "a PDF",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x1f\x8b": "packed twice",
    b"Obj\x01": "a file of the format Avro",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "a spreadsheet or a document in the old format of Office",
    b"{\\rtf": "a document of a word processor",
    b"\xff\xd8\xff": "an image",
    b"\x89PNG": "an image",
}
#: What servers answer in place of an object, and what lists of S3 look like before a client has read them.
_MARKUP: Final = (b"<!doctype", b"<html", b"<?xml")
#: Bytes that show how a text is encoded.
_ENOUGH: Final = 16
#: Where the second half of a tar archive's first header begins.
_TAR: Final = (257, b"ustar")
#: What PowerShell and spreadsheets save as "Unicode".
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_COLUMNAR: Final = {b"ORC": "ORC", b"PAR1": "Parquet"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    :param number: counts from 1.
    :param end: where the next line starts, in bytes of the unpacked content.
    :param text: the line with its end, as it is.
    :param problem: why there is no text; empty where there is.
    """

    number: int
    end: int
    text: str
    problem: str = ""


class _Readable(io.RawIOBase):
    """A file that can be read from any place. What it is made of says how."""

    _at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at


class _Parts(_Readable):
    """A stored object as a file; each read is one request, so that no connection waits for the next one."""

    def __init__(self, store: ImageStore, stored: ListedImage, check: Callable[[], None]) -> None:
        self._store = store
        self._check = check
        self._stored = stored

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._stored.size_bytes}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        room = memoryview(buffer).cast("B")
        size = min(len(room), self._stored.size_bytes - self._at)
        self._check()
        part = self._store.read_part(self._stored, self._at, size) if size > 0 else b""
        room[: len(part)] = part
        self._at += len(part)
        return len(part)


class _OfUtf16(_Readable):
    """UTF-16 text as UTF-8; places in it count bytes of UTF-8, and going back reads from the beginning."""

    def __init__(self, content: BinaryIO) -> None:
        self.content = content
        self._begin()

    def _begin(self) -> None:
        self.content.seek(0)
        self._decoder = codecs.getincrementaldecoder("utf-16")("surrogatepass")
        self._left = b""
        self._at = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("The end of what is decoded is not known.")
        target = offset + (self._at if whence == io.SEEK_CUR else 0)
        if target < self._at:
            self._begin()
        while self._at < target and self._take(target - self._at):
            pass
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        room = memoryview(buffer).cast("B")
        part = self._take(len(room))
        room[: len(part)] = part
        return len(part)

    def _take(self, size: int) -> bytes:
        while not self._left:
            raw = self.content.read(_DECODED_AT_ONCE)
            self._left = self._decoded(raw)
            if not raw and not self._left:
                return b""
        part, self._left = self._left[:size], self._left[size:]
        self._at += len(part)
        return part

    def _decoded(self, raw: bytes) -> bytes:
        try:
            return self._decoder.decode(raw, final=not raw).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            # Half a letter at the end: its line is no UTF-8 then, either.
            self._decoder.reset()
            return b"\xff"


def open_content(store: ImageStore, stored: ListedImage, check: Callable[[], None]) -> BinaryIO:
    """Open an object as what it holds, gzip unpacked, whatever its name.

    :param check: called before each request; raises what ends the reading.
    :return: text in UTF-8, where the object is text: UTF-16 is decoded.
    :raises ManifestError: it is gzip and damaged, or holds what is no text.
    """
    parts = io.BufferedReader(_Parts(store, stored, check), PART)
    content = cast("BinaryIO", GzipFile(fileobj=parts) if parts.peek(len(_GZIP)).startswith(_GZIP) else parts)
    with _unpacking(stored):
        head = content.read(_HEAD)
        content.seek(0)
    columnar = next((name for magic, name in _COLUMNAR.items() if head.startswith(magic) and b"\0" in head), "")
    if columnar:
        # A key may start with these letters, but no key holds NUL.
        raise ManifestError(
            f"The manifest {stored.uri!r} is a file of the format {columnar}, which is not read here. Give plain lines"
            " or CSV; S3 Inventory writes CSV when its output format is set to that.",
            image_uri=stored.uri,
        )
    if kind := _not_read(head):
        raise ManifestError(
            f"The manifest {stored.uri!r} is {kind}, which is not read here. Save it as plain text in UTF-8 (in"
            " PowerShell: Out-File -Encoding utf8), one key or s3:// URI a line, packed with gzip or not at all.",
            image_uri=stored.uri,
        )
    if head.startswith(_UTF_16):
        return io.BufferedReader(_OfUtf16(content), PART)
    return content


def _not_read(head: bytes) -> str:
    """Say what a file is by its first bytes, if it is no text; empty where it may be."""
    for magic, name in _NOT_READ.items():
        if head.startswith(magic) and not (magic == b"BZh" and head.isascii() and b"\0" not in head):
            return name
    if head.startswith(_TAR[1], _TAR[0]):
        return "a tar archive"
    if head.removeprefix(_BYTE_ORDER_MARK).lstrip().lower().startswith(_MARKUP):
        return "a web page or XML"
    # Every second byte of Latin letters is NUL there.
    if len(head) >= _ENOUGH and not head.startswith(_UTF_16) and head.count(b"\0") > len(head) // 3:
        return "UTF-16 text without a byte order mark"
    return ""


def read_whole(store: ImageStore, stored: ListedImage, limit: int, check: Callable[[], None]) -> bytes:
    """Read a small object, gzip unpacked.

    :param limit: bytes after which it is not small.
    :param check: called before each request; raises what ends the reading.
    :raises ManifestError: it is larger, or damaged.
    """
    content = open_content(store, stored, check)
    with _unpacking(stored):
        whole = content.read(limit + 1)
    if len(whole) > limit:
        raise ManifestError(
            f"The manifest {stored.uri!r} has over {limit:,} bytes, the most that is read of a .json. Name a list of"
            " keys .txt or .csv.",
            image_uri=stored.uri,
        )
    return whole


def lines_of(content: BinaryIO, stored: ListedImage, *, start: int = 0, number: int = 0) -> Iterator[Line]:
    """Give the lines from a place on.

    :param stored: the object, for messages.
    :param start: where the first of them starts, in bytes of the unpacked content.
    :param number: how many lines come before.
    :raises ManifestError: the object is gzip and damaged.
    """
    with _unpacking(stored):
        content.seek(start)
    while raw := _read_line(content, stored):
        number += 1
        _check_unpacked(content, stored)
        if _is_cut(raw):
            _pass_over_the_rest(content, stored)
            yield Line(number, content.tell(), "", f"is longer than {LONGEST_LINE:,} bytes")
        else:
            yield _decoded(raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw, number, content.tell())


def _decoded(raw: bytes, number: int, end: int) -> Line:
    try:
        return Line(number, end, raw.decode("utf-8"))
    except UnicodeDecodeError:
        return Line(number, end, "", "is not UTF-8")


def _is_cut(raw: bytes) -> bool:
    return len(raw) == LONGEST_LINE and not raw.endswith(b"\n")


def _pass_over_the_rest(content: BinaryIO, stored: ListedImage) -> None:
    passed = LONGEST_LINE
    while _is_cut(_read_line(content, stored)):
        passed += LONGEST_LINE
        if passed > _NO_LINE:
            raise ManifestError(
                f"The manifest {stored.uri!r} has a line of more than {_NO_LINE:,} bytes, so it is no list. Give one"
                " key or s3:// URI a line, or CSV with a column named key.",
                image_uri=stored.uri,
            )


def _check_unpacked(content: BinaryIO, stored: ListedImage) -> None:
    """Refuse an archive that unpacks to more than a list can, before it keeps a worker busy for days.

    :raises ManifestError: it does.
    """
    decoded = getattr(content, "raw", None)
    packed = decoded.content if isinstance(decoded, _OfUtf16) else content
    if isinstance(packed, GzipFile) and packed.tell() > max(_UNPACKED_AT_LEAST, _UNPACKED_TIMES * stored.size_bytes):
        raise ManifestError(
            f"The manifest {stored.uri!r} has {stored.size_bytes:,} bytes and unpacks to more than"
            f" {_UNPACKED_TIMES} times as many, which no list of keys does. Look at what wrote it, and upload another.",
            image_uri=stored.uri,
        )


def _read_line(content: BinaryIO, stored: ListedImage) -> bytes:
    with _unpacking(stored):
        return content.readline(LONGEST_LINE)


@contextmanager
def _unpacking(stored: ListedImage) -> Iterator[None]:
    try:
        yield
    except (BadGzipFile, EOFError, zlib.error) as error:
        raise ManifestError(
            f"The manifest {stored.uri!r} is damaged or cut short: it begins as gzip and cannot be unpacked. Upload it"
            " again, then clear the task.",
            image_uri=stored.uri,
        ) from error
