"""Caption files beside the pictures, for kohya's trainers: no file is ever overwritten that this has not written."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.exports.collisions import OnCollision
from airflow_midjourney.describe.exports.export import ExportPlan, export
from airflow_midjourney.describe.exports.formats.as_kohya import Format as Kohya
from airflow_midjourney.describe.exports.naming import file_name
from airflow_midjourney.describe.exports.report import ExportReport
from airflow_midjourney.describe.exports.selection import Choice
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.queries.rows import Wanted
from airflow_midjourney.describe.table.database import open_database
from demo.photo_folder import PhotosError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    from airflow_midjourney.describe.exports.format import Files, Sample
    from demo.photo_folder import PhotoFolder
    from demo.pictures import Pictures

#: In the folder of the pictures: what was written there, so that it goes along when the folder moves.
RECORD: Final = ".airflow-midjourney-captions.json"


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption file that was written here.

    :param sha256: of its bytes; a person who edits it makes it another file.
    :param is_play: whether the simulator made it up.
    """

    sha256: str
    is_play: bool


@dataclass(slots=True)
class Outcome:
    """What an export has done.

    :param kept: caption files that are not ours, or were edited since, and so stay as they are.
    :param collisions: pictures that would share their caption file with another one, and so have none.
    :param left_out: rows that have no caption, by the export's own reason.
    """

    written: int = 0
    unchanged: int = 0
    kept: list[str] = field(default_factory=list)
    collisions: list[str] = field(default_factory=list)
    gone: int = 0
    left_out: dict[str, int] = field(default_factory=dict)


class CaptionFolder:
    """The caption files of one folder of pictures.

    :param is_play: whether the captions are the simulator's: they never replace those of a real service.
    :raises PhotosError: if the record of what was written is broken.
    """

    def __init__(self, photos: PhotoFolder, *, is_play: bool) -> None:
        self._root = photos.path
        self._is_play = is_play
        self._known = _read_record(self._root / RECORD)
        self.outcome = Outcome()

    def holds(self, picture: str) -> bool:
        """Say whether a picture is still there."""
        return (self._root / picture).is_file()

    def put(self, name: str, body: bytes) -> None:
        """Write one caption file, if its place is free or holds what was written here."""
        path, digest = self._root / name, hashlib.sha256(body).hexdigest()
        before = _digest_of(path)
        if before == digest:
            self._stays(name)
        elif before is None or self._may_replace(name, before):
            _write(path, body)
            self._known[name] = Caption(digest, self._is_play)
            self.outcome.written += 1
        else:
            self.outcome.kept.append(name)

    def _stays(self, name: str) -> None:
        self.outcome.unchanged += 1
        if name in self._known and not self._is_play:
            self._known[name] = replace(self._known[name], is_play=False)

    def save(self) -> None:
        """Write down what was written."""
        if self._known:
            record = {name: asdict(caption) for name, caption in sorted(self._known.items())}
            _write(self._root / RECORD, json.dumps(record, indent=1, ensure_ascii=False).encode())

    def _may_replace(self, name: str, before: str) -> bool:
        known = self._known.get(name)
        return known is not None and known.sha256 == before and (known.is_play or not self._is_play)


@dataclass(frozen=True, kw_only=True)
class _Beside(Kohya):
    """kohya's captions, under the pictures' own names instead of names that every disk can hold."""

    captions: CaptionFolder
    pictures: Pictures

    @contextmanager
    def open(self, files: Files, splits: tuple[str, ...]) -> Iterator[Callable[[Sample], None]]:
        """Write one file beside each picture that is still there."""
        outcome = self.captions.outcome

        def write(sample: Sample) -> None:
            picture = self.pictures.name(sample.image.key)
            if not self.captions.holds(picture):
                outcome.gone += 1
            elif sample.file_name != file_name(sample.image, self.pictures.prefix):
                outcome.collisions.append(picture)
            else:
                caption = PurePosixPath(picture).with_suffix(self.extension)
                self.captions.put(str(caption), self.text(sample.captions).encode())

        yield write


class _NoFiles:
    """The format writes by itself."""

    def put(self, name: str, body: bytes) -> None:
        raise NotImplementedError(name)

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        raise NotImplementedError(name)


def write_captions(photos: PhotoFolder, table: Path, *, is_play: bool) -> Outcome:
    """Write a caption file beside each picture that has its prompts.

    :param table: the SQLite file with the metadata table.
    :raises PhotosError: if the folder cannot be written to.
    :raises DescribeError: if the table cannot be read.
    """
    captions, pictures, report = CaptionFolder(photos, is_play=is_play), photos.pictures, ExportReport()
    plan = ExportPlan(
        wanted=Wanted(Scope(pictures.bucket, (pictures.prefix,))),
        format=_Beside(captions=captions, pictures=pictures),
        # Copies stay where they are, so each gets its caption.
        choice=Choice(deduplicate=False),
        on_collision=OnCollision.RENAME,
    )
    with closing(open_database(f"sqlite:///{table}")) as database:
        try:
            export(plan, database, _NoFiles(), None, report)
        finally:
            captions.save()
    captions.outcome.left_out = {reason.value: number for reason, number in report.left_out.items()}
    return captions.outcome


def _digest_of(path: Path) -> str | None:
    """Give the digest of a file; None where there is nothing, not even a broken link."""
    if not os.path.lexists(path):
        return None
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _write(path: Path, body: bytes) -> None:
    """Write beside the file and move it into place."""
    beside = _beside(path)
    try:
        beside.write_bytes(body)
        beside.replace(path)
    except OSError as error:
        raise PhotosError(f"{path} cannot be written: {error.strerror or error}.") from error


def _beside(path: Path) -> Path:
    """Name a hidden file in the same folder, short enough for every disk."""
    return path.with_name(f".{hashlib.sha256(path.name.encode()).hexdigest()[:16]}.part")


def _read_record(path: Path) -> dict[str, Caption]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {name: Caption(**caption) for name, caption in record.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise PhotosError(f"{path} does not say which captions were written here ({error}): move it away.") from error
