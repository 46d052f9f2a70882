"""One export: rows in the order of their keys, chosen, named, copied along, and handed to the format one by one."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.exports.collisions import FileNames, OnCollision
from airflow_midjourney.describe.exports.copies import COPIES_SIDE_BY_SIDE, open_copier
from airflow_midjourney.describe.exports.format import Names, Sample
from airflow_midjourney.describe.exports.naming import common_folder, file_name
from airflow_midjourney.describe.exports.seen import open_seen
from airflow_midjourney.describe.exports.selection import Captions, Choice, LeftOut, identity
from airflow_midjourney.describe.exports.splits import Splits
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.queries.rows import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from airflow_midjourney.describe.exports.copies import Copier
    from airflow_midjourney.describe.exports.format import ExportFormat, Files
    from airflow_midjourney.describe.exports.report import ExportReport
    from airflow_midjourney.describe.exports.seen import Seen
    from airflow_midjourney.describe.queries.rows import DescribedImage, Wanted
    from airflow_midjourney.describe.storage.objects import ImageStore
    from airflow_midjourney.describe.table.database import Database

    #: Copies some images; says for each why it was not copied, or gives what the format's file is to hold of it.
    _Copy = Callable[[list["_Chosen"]], Sequence[bytes | LeftOut | None]]

#: Samples that are copied and written together; where they bring their images, no more than are read at once.
_TOGETHER: Final = 64

#: Rows between two lines of progress.
_ROWS_BETWEEN_LINES: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """What to export, and how.

    :param on_collision: what becomes of the second of two images that would share a file.

    :raises SettingsError: if the format cannot say it.
    """

    wanted: Wanted
    format: ExportFormat
    choice: Choice = field(default_factory=Choice)
    splits: Splits = field(default_factory=Splits)
    on_collision: OnCollision = OnCollision.ERROR

    def __post_init__(self) -> None:
        self.format.check(self.choice, self.splits)
        if self.wanted.scope.manifest:
            raise SettingsError("An export takes bucket, prefix or keys, no manifest.")

    @property
    def split_names(self) -> tuple[str, ...]:
        """The splits as the format names them."""
        return tuple(name or self.format.default_split for name in self.splits.names)


def export(
    plan: ExportPlan,
    database: Database,
    files: Files,
    images: ImageStore | None,
    report: ExportReport,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Write the rows of a plan.

    :param files: where to; no reader sees any of it before the caller publishes it.
    :param images: where to copy the images from; None to copy none.
    :param report: is counted up.
    :param tell: takes a line of progress now and then.
    :raises SettingsError: if two images would share a file.
    :raises StorageError: if S3 cannot be read, or the target not be written.
    :raises TableError: if the database cannot be used.
    """
    with ExitStack() as stack:
        select = _Selection(plan, stack.enter_context(open_seen()), report, copies=images is not None)
        write = stack.enter_context(plan.format.open(files, plan.split_names))
        copier = stack.enter_context(open_copier(images, files)) if images is not None else None
        copy = _copying(plan.format, copier) if copier is not None else _copying_nothing
        suitable = select.suitable(_told(read_rows(database, plan.wanted), report, tell))
        together = COPIES_SIDE_BY_SIDE if plan.format.holds_images else _TOGETHER
        while some := list(islice(suitable, together)):
            for sample in select.numbered(select.copied(some, copy)):
                write(sample)
                report.exported += 1
                report.captions += len(sample.captions)
                report.splits[sample.split] += 1


def _told(
    rows: Iterable[DescribedImage], report: ExportReport, tell: Callable[[str], None]
) -> Iterator[DescribedImage]:
    for row in rows:
        report.rows += 1
        if report.rows % _ROWS_BETWEEN_LINES == 0:
            tell(report.line())
        yield row


class _Selection:
    """Decides about each row: whether it is in the export, with which captions, in which split, under which name."""

    def __init__(self, plan: ExportPlan, seen: Seen, report: ExportReport, *, copies: bool) -> None:
        self._plan = plan
        self._seen = seen
        self._report = report
        self._folder = common_folder(plan.wanted.scope)
        self._named = copies or plan.format.names is not Names.NOTHING
        self._names = FileNames(seen, plan.format, plan.on_collision)
        self._numbers: Counter[str] = Counter()

    def suitable(self, rows: Iterable[DescribedImage]) -> Iterator[_Chosen]:
        """Give those rows that are good enough, and count the others."""
        for row in rows:
            chosen = self._choose(row)
            if isinstance(chosen, LeftOut):
                self._report.left_out[chosen] += 1
            else:
                yield chosen

    def copied(self, chosen: list[_Chosen], copy: _Copy) -> Iterator[_Chosen]:
        """Copy images, each content once; give the copied ones and count the others.

        Where the first key of some bytes has lost its object, the next key with the same bytes takes its place.
        """
        while chosen:
            first, later = self._first_of_each_content(chosen)
            if not first:
                self._report.left_out[LeftOut.DUPLICATE] += len(later)
                return
            for one, outcome in zip(first, copy(first), strict=True):
                if isinstance(outcome, LeftOut):
                    self._report.left_out[outcome] += 1
                    self._seen.release("content", _content(one.image))
                else:
                    yield replace(one, body=outcome)
            chosen = later

    def _first_of_each_content(self, chosen: list[_Chosen]) -> tuple[list[_Chosen], list[_Chosen]]:
        first, later = [], []
        for one in chosen:
            if self._plan.choice.deduplicate and self._is_duplicate(one.image):
                later.append(one)
            else:
                first.append(self._named_apart(one))
        return first, later

    def numbered(self, chosen: Iterable[_Chosen]) -> Iterator[Sample]:
        """Number what is written, within its split."""
        for one in chosen:
            yield one.sample(self._numbers[one.split])
            self._numbers[one.split] += 1

    def _choose(self, image: DescribedImage) -> _Chosen | LeftOut:
        plan = self._plan
        captions = plan.choice.captions(image)
        if isinstance(captions, LeftOut):
            if plan.format.needs_prompts or captions is not LeftOut.NO_PROMPTS:
                return captions
            captions = Captions()
        name = file_name(image, self._folder) if self._named else ""
        if not plan.format.takes(name):
            return LeftOut.UNSUPPORTED
        split = plan.splits.of(identity(image), plan.choice.seed) or plan.format.default_split
        return _Chosen(image, captions, split, name)

    def _is_duplicate(self, image: DescribedImage) -> bool:
        return image.content_sha256 is not None and bool(self._seen.take("content", _content(image), image.image_uri))

    def _named_apart(self, chosen: _Chosen) -> _Chosen:
        """Give a row a file name of its own.

        :raises SettingsError: if another one has it, and the plan does not say to rename; it names both.
        """
        if not self._named:
            return chosen
        return replace(chosen, file_name=self._names.take(chosen.split, chosen.file_name, chosen.image.image_uri))


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A row that is in the export, if its image can be copied along."""

    image: DescribedImage
    captions: Captions
    split: str
    file_name: str
    body: bytes | None = None

    def sample(self, number: int) -> Sample:
        """Give it as it is written, under a number."""
        texts, source = self.captions.texts, self.captions.source
        return Sample(self.image, texts, self.split, self.file_name, number, self.body, source)


def _content(image: DescribedImage) -> str:
    return f"{image.content_sha256} {image.prompts != ()}"


def _copying(kind: ExportFormat, copier: Copier) -> _Copy:
    if kind.holds_images:
        return lambda chosen: copier.read([one.image for one in chosen])

    def copy(chosen: list[_Chosen]) -> list[LeftOut | None]:
        samples = [one.sample(0) for one in chosen]
        return copier.copy([(sample.image, kind.image_path(sample)) for sample in samples])

    return copy


def _copying_nothing(chosen: list[_Chosen]) -> list[None]:
    return [None] * len(chosen)
