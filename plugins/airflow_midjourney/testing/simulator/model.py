"""What the simulated service remembers: received images, tasks, and the plan of each of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from airflow_midjourney.testing.simulator.settings import Layout
    from airflow_midjourney.testing.simulator.vision import ImageReading


class TaskStatus(StrEnum):
    """The statuses that occur on the describe path of the native services."""

    NOT_START = "NOT_START"
    SUBMITTED = "SUBMITTED"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"


#: The Discord channel of the one account, which both services call its instance.
CHANNEL: Final = "1118138338562560102"

ENDED: Final = frozenset({TaskStatus.SUCCESS, TaskStatus.FAILURE})


class FinalPrompt(StrEnum):
    """What becomes of ``properties.finalPrompt``."""

    KEPT = "kept"
    EMPTY = "empty"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task fails, in the words of each native service."""

    novicezk: str
    trueai: str
    before_start: bool = False


TIMED_OUT: Final = Failure("任务超时", "执行超时 5 分钟")
UPLOAD_FAILED: Final = Failure("上传图片到discord失败", "发送图片消息到discord失败", before_start=True)


@dataclass(frozen=True, slots=True)
class ReceivedImage:
    """The image of one submit, as it came.

    :param media_type: as named in the data URI; None where it named none.
    :param link: where the image was given by its address instead (trueai).
    """

    content: bytes
    media_type: str | None
    sha256: str
    link: str | None = None

    @classmethod
    def of(cls, content: bytes, media_type: str | None) -> ReceivedImage:
        """An image that came within the request."""
        return cls(content, media_type, hashlib.sha256(content).hexdigest())

    @classmethod
    def at(cls, link: str) -> ReceivedImage:
        """An image that was given by its address."""
        return cls(b"", None, hashlib.sha256(link.encode("utf-8", "replace")).hexdigest(), link)


@dataclass(frozen=True, slots=True)
class SubmitFields:
    """What a submit says beside its image."""

    state: str | None = None
    notify_hook: str | None = None
    bot_type: str = "MID_JOURNEY"
    language: str | None = None
    mode: str | None = None
    client_address: str = ""


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """What will happen to a task; scenarios change it before the task starts. Times are seconds."""

    upload: float
    work: float
    layout: Layout
    failure: Failure | None = None
    stuck_at: TaskStatus | None = None
    stuck_holds_slot: bool = False
    prompt_count: int = 4
    answer_text: str | None = None
    final_prompt: FinalPrompt = FinalPrompt.KEPT
    keeps_prompts_on_failure: bool = False
    shows_in_progress: bool = False
    errors_time_out_after: float | None = None
    prompts_early: bool = False
    plus_family: bool = False
    partner: bool = False
    translated: bool = False
    plain_keycaps: bool = False
    dirty_text: bool = False
    foreign_state: bool = False
    slot_held: float = 0.0
    hidden_for: float = 0.0
    vanishes_after: float | None = None


@dataclass(slots=True)
class SimulatedTask:
    """One task of the native service. Times are Unix milliseconds."""

    id: str
    image: ReceivedImage
    fields: SubmitFields
    plan: TaskPlan
    submit_time: int
    nonce: str
    status: TaskStatus = TaskStatus.NOT_START
    start_time: int | None = None
    finish_time: int | None = None
    progress: str | None = None
    text: str | None = None
    translation: str | None = None
    fail_reason: str | None = None
    image_url: str | None = None
    message_id: str | None = None
    reading: ImageReading | None = None
    reruns: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED

    def move_back(self, milliseconds: int) -> None:
        """Have all that has happened to it happen earlier."""
        self.submit_time -= milliseconds
        for name in ("start_time", "finish_time"):
            if (moment := getattr(self, name)) is not None:
                setattr(self, name, moment - milliseconds)
