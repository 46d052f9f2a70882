"""Decisions that were made in Label Studio become reviews: each if its image still has what the annotator was shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from airflow_midjourney.describe.admin.label_studio import Annotation, NotUnderstoodError, read_entry
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.review import ReviewDecision
from airflow_midjourney.describe.queries.reviews import look_at_reviews
from airflow_midjourney.describe.table.reviews.decisions import Review, Written, write_reviews

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_midjourney.describe.admin.label_studio import ExportedImage
    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.describe.queries.reviews import ReviewedImage
    from airflow_midjourney.describe.table.database import Database, Transaction

#: Decisions written in one transaction.
IMPORTED_AT_ONCE: Final = 500

#: Entries of each kind that are quoted in the log.
MOST_QUOTED: Final = 3


class Imported(StrEnum):
    """What became of one entry of a file."""

    ADDED = "added"

    #: The table has this very decision already.
    UNCHANGED = "unchanged"

    #: The image has other prompts than the annotator was shown, or is being described again.
    OUTDATED = "outdated"

    #: Another person has decided since the export was written. Their decision stays.
    DECIDED_MEANWHILE = "decided_meanwhile"

    #: The same annotator's decision in the table is later: this file is older than one that was imported.
    OLDER = "older"

    #: Another annotation of the same image counts.
    PASSED_OVER = "passed_over"

    SKIPPED = "skipped"
    OPEN = "open"

    #: The table has no such image, or not in this version.
    UNKNOWN_IMAGE = "unknown_image"

    #: The image is not in the task's scope.
    OUT_OF_SCOPE = "out_of_scope"

    NOT_UNDERSTOOD = "not_understood"


_OF_A_WRITE: Final = {
    Written.ADDED: Imported.ADDED,
    Written.REPEATED: Imported.UNCHANGED,
    Written.ANSWER_CHANGED: Imported.OUTDATED,
    Written.DECIDED_MEANWHILE: Imported.DECIDED_MEANWHILE,
    Written.IMPOSSIBLE: Imported.UNKNOWN_IMAGE,
}

#: Of these the log quotes a few.
_QUOTED: Final = frozenset(
    {
        Imported.OUTDATED,
        Imported.DECIDED_MEANWHILE,
        Imported.OLDER,
        Imported.UNKNOWN_IMAGE,
        Imported.OUT_OF_SCOPE,
        Imported.NOT_UNDERSTOOD,
    }
)


@dataclass
class ImportReport:
    """What became of all entries.

    :ivar quoted: a few of what was not taken, with the reason.
    """

    counts: Counter[Imported] = field(default_factory=Counter)
    quoted: dict[Imported, list[str]] = field(default_factory=dict)

    def add(self, outcome: Imported, what: str) -> None:
        """Count an entry, and keep what it was if it is one of the first that were not taken."""
        self.counts[outcome] += 1
        if outcome in _QUOTED:
            some = self.quoted.setdefault(outcome, [])
            if len(some) < MOST_QUOTED:
                some.append(what)

    def to_json(self) -> dict[str, Any]:
        """Give the counts of all kinds, for an XCom."""
        return {"entries": self.counts.total(), **{kind.value: self.counts[kind] for kind in Imported}}


def import_reviews(database: Database, scope: Scope, entries: Iterable[object]) -> ImportReport:
    """Write the decisions of a file, in groups; what is written already is not written again.

    :param scope: only images of it are decided about.
    :param entries: the items of Label Studio's JSON.
    :raises SettingsError: not one entry could be understood.
    """
    report = ImportReport()
    waiting: dict[tuple[str, str], Annotation] = {}
    for entry in entries:
        annotation = _understood(entry, report)
        if annotation is None:
            continue
        place = (annotation.image.image_uri, annotation.image.image_version)
        if len(waiting) >= IMPORTED_AT_ONCE and place not in waiting:
            _write_group(database, scope, list(waiting.values()), report)
            waiting.clear()
        other = waiting.get(place)
        if other is not None:
            report.add(Imported.PASSED_OVER, annotation.image.image_uri)
        waiting[place] = annotation if other is None else max(other, annotation, key=lambda one: one.weight)
    _write_group(database, scope, list(waiting.values()), report)
    _require_understood(report)
    return report


def _understood(entry: object, report: ImportReport) -> Annotation | None:
    try:
        read = read_entry(entry)
    except NotUnderstoodError as error:
        number = entry.get("id") if isinstance(entry, dict) else None
        report.add(Imported.NOT_UNDERSTOOD, f"entry {report.counts.total() + 1} (id {str(number)[:40]}): {error}")
        return None
    if isinstance(read, Annotation):
        return read
    report.add(Imported(read.value), "")
    return None


def _require_understood(report: ImportReport) -> None:
    entries = report.counts.total()
    if entries and report.counts[Imported.NOT_UNDERSTOOD] == entries:
        raise SettingsError(
            f"None of {entries} entries could be understood: {report.quoted[Imported.NOT_UNDERSTOOD][0]}. Give the file"
            " that Label Studio's Export writes as JSON or JSON-MIN, of tasks that an export with"
            ' format="labelstudio" of this table has made.'
        )


def _write_group(database: Database, scope: Scope, group: Sequence[Annotation], report: ImportReport) -> None:
    inside = []
    for one in group:
        if _is_inside(one.image, scope):
            inside.append(one)
        else:
            report.add(Imported.OUT_OF_SCOPE, one.image.image_uri)
    if inside:
        outcomes = database.write_here(_write, scope, inside)
        for one, outcome in zip(inside, outcomes, strict=True):
            report.add(outcome, one.image.image_uri)


def _is_inside(image: ExportedImage, scope: Scope) -> bool:
    beginning = f"s3://{scope.bucket}/"
    if image.bot_type != scope.bot_type or not image.image_uri.startswith(beginning):
        return False
    key = image.image_uri.removeprefix(beginning)
    return key in scope.keys if scope.keys else key.startswith(scope.prefixes)


def _write(tx: Transaction, scope: Scope, group: Sequence[Annotation]) -> list[Imported]:
    known = _images(tx, scope, group)
    outcomes: dict[int, Imported] = {}
    reviews: dict[str, list[tuple[int, Review]]] = {}
    for number, one in enumerate(group):
        place = (one.image.image_uri, one.image.image_version)
        found = known.get(place)
        if found is None:
            outcomes[number] = Imported.OUTDATED if place in known else Imported.UNKNOWN_IMAGE
        elif _is_older(one, found):
            outcomes[number] = Imported.OLDER
        else:
            reviews.setdefault(reviewer_of(one), []).append((number, _review(one, found)))
    for reviewer, theirs in reviews.items():
        written = write_reviews(tx, [review for _, review in theirs], reviewer)
        outcomes |= {number: _OF_A_WRITE[one.written] for (number, _), one in zip(theirs, written, strict=True)}
    return [outcomes[number] for number in range(len(group))]


def reviewer_of(annotation: Annotation) -> str:
    """Name an annotator so that nothing takes them for a user of Airflow."""
    return f"{annotation.annotator} (Label Studio)"


def _images(tx: Transaction, scope: Scope, group: Sequence[Annotation]) -> dict[tuple[str, str], ReviewedImage | None]:
    """Give the images of a group by address and version; None for one that has no prompts at the moment."""
    images = tx.tables.images.c
    keys = sorted({one.image.image_uri.removeprefix(f"s3://{scope.bucket}/") for one in group})
    rows = tx.connection.execute(
        select(images.id, images.image_uri, images.image_version).where(
            images.bucket == scope.bucket, images.bot_type == scope.bot_type, images.key.in_(keys)
        )
    )
    places = {row_id: (uri, version) for row_id, uri, version in rows}
    seen = {places[one.seen.image_id]: one for one in look_at_reviews(tx, list(places))}
    return {place: seen.get(place) for place in places.values()}


def _is_older(annotation: Annotation, image: ReviewedImage) -> bool:
    """Whether the same annotator has decided otherwise later: importing an old file again undoes nothing."""
    newest = image.newest
    if newest is None or newest.reviewer != reviewer_of(annotation) or annotation.annotated_at is None:
        return False
    return annotation.annotated_at < newest.reviewed_at


def _review(annotation: Annotation, image: ReviewedImage) -> Review:
    seen = replace(image.seen, answer=annotation.image.answer, newest=_newest_that_was_known(annotation, image))
    if annotation.decision is ReviewDecision.REJECTED:
        return Review(seen, ReviewDecision.REJECTED, decided_at=annotation.annotated_at)
    prompts = [" ".join(text.split()) for text in image.prompts]
    number = prompts.index(annotation.text) + 1 if annotation.text in prompts else None
    text = annotation.text if number is None else None
    return Review(seen, annotation.decision, prompt=number, text=text, decided_at=annotation.annotated_at)


def _newest_that_was_known(annotation: Annotation, image: ReviewedImage) -> int | None:
    """Give the newest decision if the annotator knew it: from the export, or since it is their own.

    Where it was taken back, only what was annotated after that counts: the export shows none either way.
    """
    newest = image.newest
    if newest is None or newest.reviewer == reviewer_of(annotation):
        is_known = True
    elif newest.decision is ReviewDecision.WITHDRAWN:
        is_known = annotation.annotated_at is not None and annotation.annotated_at > newest.reviewed_at
    else:
        is_known = annotation.image.reviewed_at == newest.reviewed_at
    return image.seen.newest if is_known else None
