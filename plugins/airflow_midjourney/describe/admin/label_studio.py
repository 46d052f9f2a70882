"""What annotators decided, as Label Studio writes it down: one entry of its JSON export, or of a target storage.

Three shapes of one thing: a task with its ``annotations`` (*JSON*); a task whose answers stand beside its data, once
for each annotation (*JSON-MIN*); an annotation with its ``task`` (target storages). After
https://labelstud.io/guide/export and ``label_studio_sdk.converter`` 2.0.19.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from airflow_midjourney.describe.model.review import ReviewDecision

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Where nothing says who annotated.
_UNNAMED: Final = "annotator"

#: Words of a choice that decide; a project may have other labeling interfaces than ours.
_WORDS: Final = {
    "approved": ReviewDecision.APPROVED,
    "approve": ReviewDecision.APPROVED,
    "accepted": ReviewDecision.APPROVED,
    "rejected": ReviewDecision.REJECTED,
    "reject": ReviewDecision.REJECTED,
}


class NotUnderstoodError(Exception):
    """An entry is none that our exports and Label Studio make together; its text says why."""


class Undecided(StrEnum):
    """Why an entry holds no decision."""

    #: Its annotator passed it over.
    SKIPPED = "skipped"

    #: It has no annotation, or an empty one.
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class ExportedImage:
    """The image of a task, and what its annotator was shown.

    :param answer: names the prompts; see :func:`~airflow_midjourney.describe.table.reviews.decisions.name_answer`.
    :param reviewed_at: when the newest decision was made that the export knew, in UTC; None where there was none.
    """

    image_uri: str
    image_version: str
    bot_type: str
    answer: str
    reviewed_at: datetime | None
    prompts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one annotator decided about one image.

    :param text: the approved text, in one line; None where the image was rejected.
    :param annotator: as Label Studio names them: an e-mail address or a number.
    :param annotated_at: when it was last changed, in UTC; None where the file does not say.
    :param is_ground_truth: whether the project's manager has marked it as the right one.
    """

    image: ExportedImage
    decision: ReviewDecision
    text: str | None
    annotator: str
    annotated_at: datetime | None
    is_ground_truth: bool

    @property
    def weight(self) -> tuple[bool, datetime]:
        """Of several annotations of an image the one with the most counts: the ground truth, else the latest."""
        return self.is_ground_truth, self.annotated_at or datetime.min.replace(tzinfo=UTC)


def read_entry(entry: object) -> Annotation | Undecided:
    """Read one entry of a file.

    :raises NotUnderstoodError: it is no task of ours, or its annotation says nothing that could be taken.
    """
    if not isinstance(entry, dict):
        raise NotUnderstoodError("an entry is no object")
    task = entry.get("task")
    if isinstance(task, dict) and "result" in entry:
        return _of_annotations(_image(task.get("data")), [entry])
    if "data" in entry:
        image, annotations = _image(entry["data"]), entry.get("annotations")
        if annotations is None:
            raise NotUnderstoodError("a task without annotations: take the export, not what was imported")
        return _of_annotations(image, annotations if isinstance(annotations, list) else [])
    return _of_flat(_image(entry), entry)


def _image(data: object) -> ExportedImage:
    if not isinstance(data, dict):
        raise NotUnderstoodError("a task without data")
    texts = {name: data.get(name) for name in ("image_uri", "image_version", "bot_type", "answer")}
    missing = [name for name, text in texts.items() if not isinstance(text, str) or not text]
    if missing:
        raise NotUnderstoodError(
            f"a task whose data has no {', '.join(missing)}: it is not from an export of this table"
        )
    prompts = data.get("prompts")
    return ExportedImage(
        **{name: str(text) for name, text in texts.items()},
        reviewed_at=_moment(data.get("reviewed_at")),
        prompts=tuple(map(str, prompts)) if isinstance(prompts, list) else (),
    )


def _of_annotations(image: ExportedImage, annotations: Iterable[object]) -> Annotation | Undecided:
    """Give the annotation that counts of one task."""
    made = [one for one in annotations if isinstance(one, dict)]
    kept = [one for one in made if not one.get("was_cancelled")]
    if not kept:
        return Undecided.SKIPPED if made else Undecided.OPEN
    read = [one for one in (_of_regions(image, one) for one in kept) if one is not None]
    return max(read, key=lambda one: one.weight) if read else Undecided.OPEN


def _of_regions(image: ExportedImage, annotation: Mapping[str, Any]) -> Annotation | None:
    choices: list[str] = []
    texts: list[str] = []
    for region in _objects(annotation.get("result")):
        value = region.get("value")
        if isinstance(value, dict):
            choices += _words(value.get("choices"))
            texts += _words(value.get("text")) if region.get("type") == "textarea" else []
    return _annotation(image, choices, texts, annotation.get("completed_by"), annotation)


def _of_flat(image: ExportedImage, entry: Mapping[str, Any]) -> Annotation | Undecided:
    """Read an entry of *JSON-MIN*, whose answers bear the names of our labeling interface."""
    if entry.get("was_cancelled"):
        return Undecided.SKIPPED
    choices, texts = _words(entry.get("decision")), _words(entry.get("caption"))
    return _annotation(image, choices, texts, entry.get("annotator"), entry) or Undecided.OPEN


def _annotation(
    image: ExportedImage, choices: list[str], texts: list[str], annotator: object, facts: Mapping[str, Any]
) -> Annotation | None:
    """Make one thing of what was chosen and written; None where it is nothing."""
    if not choices and not texts:
        return None
    decision = _decision(choices)
    return Annotation(
        image,
        decision,
        None if decision is ReviewDecision.REJECTED else _text(image, texts),
        _name(annotator),
        _moment(facts.get("updated_at")) or _moment(facts.get("created_at")),
        facts.get("ground_truth") is True,
    )


def _decision(choices: list[str]) -> ReviewDecision:
    """A text alone is an approval: it was written to be taken."""
    said = {_WORDS.get(choice.casefold()) for choice in choices}
    if not said:
        return ReviewDecision.APPROVED
    decision = said.pop()
    if decision is None or said:
        chosen = ", ".join(repr(one[:40]) for one in choices)
        raise NotUnderstoodError(f"a choice that is neither approved nor rejected, or both: {chosen}")
    return decision


def _text(image: ExportedImage, texts: list[str]) -> str:
    """Give the approved text; where none was kept, the only prompt that the annotator was shown."""
    if len(texts) > 1:
        raise NotUnderstoodError(f"{len(texts)} texts are approved: leave one")
    if texts:
        return texts[0]
    if len(image.prompts) == 1:
        return " ".join(image.prompts[0].split())
    raise NotUnderstoodError(f"approved, but none of its {len(image.prompts)} prompts is kept as its text")


def _name(annotator: object) -> str:
    if isinstance(annotator, dict):
        annotator = annotator.get("email") or annotator.get("username") or annotator.get("id")
    return " ".join(str(annotator).split())[:200] if annotator else _UNNAMED


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())


def _words(value: object) -> list[str]:
    """Give the texts of an answer, each in one line: one text, a list of them, or an object that holds them."""
    if isinstance(value, str):
        return [" ".join(value.split())] if value.strip() else []
    if isinstance(value, dict):
        return _words(value.get("choices")) or _words(value.get("text"))
    return [word for one in value for word in _words(one)] if isinstance(value, list) else []


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
