"""What a batch is about: a scope of images, not a list of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from hashlib import sha256
from os.path import commonprefix
from typing import TYPE_CHECKING, Any, Final, Literal, get_args
from urllib.parse import quote

from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.status import BotType

if TYPE_CHECKING:
    from datetime import datetime

#: What becomes of a doubtful submission that the service cannot be asked about.
InDoubt = Literal["resubmit", "hold"]

#: Which rows that have ended are described again.
Redescribe = Literal["failed", "all", "in_doubt", "erased"]

#: Whether pending rows of earlier runs of the same task are submitted after a batch's own.
Backlog = Literal["own", "none"]

#: How a scope ends in which nothing was found.
OnEmpty = Literal["skip", "finish", "fail"]

#: The highest priority of a batch among those of its account; 0, the default, is the lowest.
HIGHEST_PRIORITY: Final = 1000

#: More keys than this belong in a manifest or under a prefix.
MAX_KEYS: Final = 1000


@dataclass(frozen=True, slots=True)
class Origin:
    """Which task of which run asked: the lineage in every row.

    :param logical_date: None for runs without one.
    :param try_number: counts from 1; a clear and a retry raise it.
    :param image: of a function that describes images one by one, which one; each is a batch of its own.
    """

    dag_id: str | None = None
    run_id: str | None = None
    dag_task_id: str | None = None
    map_index: int | None = None
    logical_date: datetime | None = None
    try_number: int | None = None
    image: str = ""

    @property
    def batch_id(self) -> str:
        """The same for every try of the same task, so that a retry or a clear is the same batch."""
        parts = [self.dag_id or "-", self.dag_task_id or "-", quote(self.run_id or "-", safe=":+")]
        if self.map_index is not None and self.map_index >= 0:
            parts.append(str(self.map_index))
        if self.image:
            parts.append(f"image-{sha256(self.image.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}")
        return "/".join(parts)

    @property
    def cap_scope(self) -> str:
        """What ``max_submissions`` is counted over: all map indexes of the task in this run."""
        return f"{self.dag_id}/{self.dag_task_id}/{quote(self.run_id or '-', safe=':+')}"


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How a batch is worked off; kept in its row so that the sensor needs nothing but the id.

    :param mj_conn_id: opaque here: where later workers find the service.
    :param aws_conn_id: opaque here: where later workers find the images.
    :param suffixes: lower-case endings of keys to take, None to go by content alone.
    :param max_submissions: POSTs that the run may pay for in all, None for no cap.
    :param max_attempts: POSTs that one image may cost when the service reports a curable failure.
    :param strip_metadata: whether EXIF, GPS and the like are removed before sending.
    :param requester_pays: whether requests to the bucket are paid for by its reader.
    :param plan_only: list, compare and price, but write and submit nothing.
    :param in_doubt: ``resubmit`` doubtful rows that the service cannot tell about, within bounds, or ``hold`` them.
    :param redescribe: describe rows again that ``failed``, ``all`` of them, those ``in_doubt``, or images that were
        ``erased``; at most once per batch, however often it is retried. None for none.
    :param max_cost: money that the run may spend in all, as text; needs a price. None for no cap.
    :param backlog: ``own`` to submit what earlier runs of the same task left pending, after the batch's own images.
    :param on_empty: how the batch ends if nothing was found in its scope.
    :param priority: batches of the same account with a lower one leave slots to it while it has images to send.
    """

    mj_conn_id: str = "midjourney_default"
    aws_conn_id: str = "aws_default"
    suffixes: tuple[str, ...] | None = None
    max_submissions: int | None = None
    max_attempts: int = 2
    strip_metadata: bool = True
    requester_pays: bool = False
    plan_only: bool = False
    in_doubt: InDoubt = "resubmit"
    redescribe: Redescribe | None = None
    max_cost: str | None = None
    backlog: Backlog = "own"
    on_empty: OnEmpty = "skip"
    priority: int = 0

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise SettingsError(f"max_attempts must be at least 1, not {self.max_attempts}.")
        if self.max_submissions is not None and self.max_submissions < 0:
            raise SettingsError(f"max_submissions must not be negative, but is {self.max_submissions}.")
        if not 0 <= self.priority <= HIGHEST_PRIORITY:
            raise SettingsError(f"priority must be from 0 to {HIGHEST_PRIORITY}, not {self.priority}.")
        self._check_choices()

    def _check_choices(self) -> None:
        choices = {
            "in_doubt": get_args(InDoubt),
            "redescribe": (None, *get_args(Redescribe)),
            "backlog": get_args(Backlog),
            "on_empty": get_args(OnEmpty),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                known = ", ".join(str(choice) for choice in allowed)
                raise SettingsError(f"{name} must be one of {known}, not {getattr(self, name)!r}.")

    def to_json(self) -> dict[str, Any]:
        """Give plain values for the batch row."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> BatchOptions:
        """Read a batch row; names that another release wrote and this one does not know are passed over."""
        known = {name: value for name, value in values.items() if name in cls.__dataclass_fields__}
        if known.get("suffixes") is not None:
            known["suffixes"] = tuple(known["suffixes"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Scope:
    """Bucket, prefix(es) or keys or a manifest of them, and bot.

    :param prefixes: one or more; ``""`` is the whole bucket.
    :param keys: up to 1,000 explicit keys, instead of prefixes.
    :param manifest: ``s3://bucket/key`` of an object that names the images, instead of prefixes and keys.
    :raises SettingsError: if it names none of these or several, or too many keys.
    """

    bucket: str
    prefixes: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    bot_type: BotType = BotType.MID_JOURNEY
    manifest: str = ""

    def __post_init__(self) -> None:
        if not self.bucket:
            raise SettingsError("The bucket is empty after templating. Name the bucket that holds the images.")
        if sum(map(bool, (self.prefixes, self.keys, self.manifest))) != 1:
            raise SettingsError("Give either prefix= or keys= or manifest=, and only one of them.")
        if len(self.keys) > MAX_KEYS:
            raise SettingsError(
                f"keys= holds {len(self.keys)} keys, at most {MAX_KEYS} are taken. Put the images under a prefix,"
                " write the keys into an object and name it with manifest=, or split the list."
            )

    @property
    def beginning(self) -> str:
        """What the addresses of all its images begin with."""
        return f"s3://{self.bucket}/{commonprefix([*self.prefixes, *self.keys])}"  # noqa: RUF071

    def describe(self) -> str:
        """Say it in a few words, for logs."""
        if self.manifest:
            return f"{self.manifest!r} for s3://{self.bucket}"
        if self.keys:
            return f"{len(self.keys)} keys of s3://{self.bucket}"
        return ", ".join(f"s3://{self.bucket}/{prefix}" for prefix in self.prefixes)


#: Begins the position in a prefix whose server has an order of its own. A key could only begin so by malice, and then
#: the walk that it starts finds all keys as well.
_WALKED: Final = "\uffffpages:"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a listing has come: which prefix (chunk of keys, file of a manifest), and after which key of it.

    Where a server has an order of its own, no key says how far it has come. Then the prefixes are *walked*: the
    position is the number of pages that were counted, and a worker that takes such a listing up walks the prefix from
    its beginning.

    :param after: of a manifest, where in the file and of which version of it.
    :param continuation: with which the server goes on after the key, in its own order: asked for what follows a key, a
        server that does not keep the order of keys would leave out what it has not listed yet and what comes before it.
    """

    source: int = 0
    after: str = ""
    continuation: str = field(default="", compare=False)

    @classmethod
    def walked(cls, source: int, pages: int = 0) -> Position:
        """Give the position after so many pages of a walk."""
        return cls(source, f"{_WALKED}{pages}")

    @property
    def pages(self) -> int | None:
        """How many pages of a walk were counted; None where keys say how far the listing has come."""
        number = self.after.removeprefix(_WALKED)
        return int(number) if number != self.after and number.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Listed:
    """What a listing has found so far, by what is to be done.

    :param keys: every key seen, with an image suffix or not.
    :param images: keys that count as images.
    :param new: images never seen before.
    :param changed: images whose object was replaced since.
    :param reopened: rejected images that are tried again.
    :param again: images that are described again because someone asked for it.
    :param pending: images that are known and wanted, and not sent yet.
    :param waiting: images that are already on their way.
    :param done: images that have their prompts.
    :param failed: images that failed before and stay so until someone asks again.
    :param rejected: images that cannot be sent.
    :param in_doubt: images that may have been taken and billed.
    :param erased: images that a person had erased, and that are not described again by accident.
    :param bad_lines: lines of a manifest that name no image of the bucket that may be read.
    """

    keys: int = 0
    images: int = 0
    new: int = 0
    changed: int = 0
    reopened: int = 0
    again: int = 0
    pending: int = 0
    waiting: int = 0
    done: int = 0
    failed: int = 0
    rejected: int = 0
    in_doubt: int = 0
    erased: int = 0
    bad_lines: int = 0

    def __add__(self, other: Listed) -> Listed:
        return Listed(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})

    @property
    def to_describe(self) -> int:
        """Images that this batch has to submit, before sharing."""
        return self.new + self.changed + self.reopened + self.again + self.pending

    def to_json(self) -> dict[str, int]:
        """Give plain values for the batch row."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, int]) -> Listed:
        """Read a batch row; counts that another release wrote and this one does not know are passed over."""
        return cls(**{name: number for name, number in values.items() if name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch as its row has it.

    :param started_at: when it first started; its verdict is over what ended since.
    :param tried_at: when the latest try of one of its tasks began.
    :param waits_for_slots: slots that batches of a lower priority leave to it.
    :param waits_until: until when they do, unless a process says again that the batch waits for them.
    """

    batch_id: str
    scope: Scope
    options: BatchOptions
    origin: Origin
    started_at: datetime
    tried_at: datetime
    position: Position = field(default_factory=Position)
    listing_ended_at: datetime | None = None
    last_row_id: int | None = None
    listed: Listed = field(default_factory=Listed)
    waits_for_slots: int = 0
    waits_until: datetime | None = None

    @property
    def is_of_prefixes(self) -> bool:
        """Whether S3 is listed for it, rather than a list of keys read."""
        return not self.scope.keys and not self.scope.manifest

    @property
    def sources(self) -> int:
        """How many listings there are to walk: one per prefix, or one for the keys."""
        return 1 if self.scope.keys else len(self.scope.prefixes)
