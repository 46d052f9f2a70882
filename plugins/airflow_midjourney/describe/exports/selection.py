"""Quality before training: which of the prompts to take, and which images to leave out."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.choices import read_member
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.review import OUTDATED, ReviewDecision
from airflow_midjourney.describe.model.text import on_one_line
from airflow_midjourney.describe.service.dialects import is_complaint

if TYPE_CHECKING:
    from airflow_midjourney.describe.queries.rows import DescribedImage

#: Letters and digits below which a prompt says nothing.
MIN_LETTERS: Final = 3

#: How models and bots begin when they do not describe an image. Prompts describe, they never speak of themselves.
_REFUSAL: Final = re.compile(
    r"^\W*(?:(?:i['’]?m|i am) sorry|i apologi[sz]e|sorry[,!.]|unfortunately,? i"
    r"|i (?:can['’]?t|cannot|can not|am unable|['’]m unable|won['’]?t)\b|as an ai\b|i['’]m unable)",
    re.IGNORECASE,
)

#: What is rare, since prompts are cleaned when they are written: looking for it is quicker than replacing it.
_SEVERAL_LINES: Final = re.compile(r"[^\S ]|  |[\x00-\x1f\x7f-\x9f]")


class Prompt(StrEnum):
    """Which of an image's prompts an export takes."""

    FIRST = "first"
    LONGEST = "longest"
    RANDOM = "random"
    ALL = "all"


class Choose(StrEnum):
    """Who has the say about captions."""

    #: The prompts as they were described; decisions are beside them and change nothing.
    DESCRIBED = "described"

    #: The texts that people approved; where there is no decision, the prompts, unless only reviewed ones are wanted.
    REVIEWED = "reviewed"


class LeftOut(StrEnum):
    """Why a row is not in an export."""

    REJECTED = "rejected"
    UNDECIDED = "undecided"
    OUTDATED = "outdated"
    NO_PROMPTS = "no_prompts"
    NEAR_EMPTY = "near_empty"
    REFUSED = "refused"
    DUPLICATE = "duplicate"
    UNSUPPORTED = "unsupported"
    VANISHED = "vanished"
    NOT_ALLOWED = "not_allowed"


@dataclass(frozen=True, slots=True)
class Captions:
    """The texts that are taken of an image.

    :param texts: the main one first; none only where a format takes images without prompts.
    :param source: where the main one is from: ``prompt_1`` to ``prompt_4``, or ``edited`` by a reviewer.
    """

    texts: tuple[str, ...] = ()
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What is good enough, and which prompt is taken of it.

    :param prompt: which prompt.
    :param seed: another one gives other random prompts, and other splits.
    :param min_letters: letters and digits that a prompt must have.
    :param deduplicate: whether the same bytes are taken once, under the first key.
    :param choose: who has the say.
    :param reviewed_only: whether images without an approved text are left out.
    """

    prompt: Prompt = Prompt.FIRST
    seed: int = 0
    min_letters: int = MIN_LETTERS
    deduplicate: bool = True
    choose: Choose = Choose.DESCRIBED
    reviewed_only: bool = False

    def __post_init__(self) -> None:
        if self.min_letters < 1:
            raise SettingsError(f"min_letters must be at least 1, not {self.min_letters}: a caption is never empty.")
        if self.reviewed_only and self.choose is not Choose.REVIEWED:
            raise SettingsError("reviewed_only=True needs choose='reviewed'.")

    def captions(self, image: DescribedImage) -> Captions | LeftOut:
        """Give the texts to take of an image, or why there are none."""
        decided = self._decided(image) if self.choose is Choose.REVIEWED else None
        return self._described(image) if decided is None else decided

    def is_left_out(self, image: DescribedImage) -> bool:
        """Say whether what a person decided, or has not decided, leaves a row out, whatever its prompts are."""
        return self.choose is Choose.REVIEWED and isinstance(self._decided(image), LeftOut)

    def _decided(self, image: DescribedImage) -> Captions | LeftOut | None:
        """Give what a person decided; None where the prompts are taken in its place.

        An approved text is taken as it is, however short: the person has the last word.
        """
        if image.decision == ReviewDecision.APPROVED and image.caption:
            return Captions((on_one_line(image.caption),), image.caption_source)
        if image.decision == ReviewDecision.REJECTED:
            return LeftOut.REJECTED
        if not self.reviewed_only:
            return None
        return LeftOut.OUTDATED if image.decision == OUTDATED else LeftOut.UNDECIDED

    def _described(self, image: DescribedImage) -> Captions | LeftOut:
        if not image.prompts:
            return LeftOut.NO_PROMPTS
        good: list[tuple[int, str]] = []
        spoken = False
        for number, prompt in enumerate(image.prompts, 1):
            line = on_one_line(prompt) if _SEVERAL_LINES.search(prompt) else prompt.strip()
            if is_refusal(line, of=len(image.prompts)):
                continue
            spoken = True
            if self._says_something(line):
                good.append((number, line))
                if self.prompt is Prompt.FIRST:
                    break
        if not good:
            return LeftOut.NEAR_EMPTY if spoken else LeftOut.REFUSED
        main = 0 if self.prompt is Prompt.ALL else self._position(image, [line for _, line in good])
        taken = good if self.prompt is Prompt.ALL else good[main : main + 1]
        return Captions(tuple(line for _, line in taken), f"prompt_{good[main][0]}")

    def _says_something(self, line: str) -> bool:
        letters = filter(str.isalnum, line)
        return next(islice(letters, self.min_letters - 1, None), None) is not None

    def _position(self, image: DescribedImage, good: list[str]) -> int:
        if self.prompt is Prompt.LONGEST:
            return max(range(len(good)), key=lambda position: len(good[position]))
        if self.prompt is Prompt.RANDOM:
            return int(fraction("prompt", self.seed, identity(image)) * len(good))
        return 0


def read_prompt(value: str) -> Prompt:
    """Read which prompt to take.

    :raises SettingsError: if it is none of the known ways.
    """
    return read_member(Prompt, "prompt", value)


def read_choose(value: str) -> Choose:
    """Read who has the say about captions.

    :raises SettingsError: if it is none of the known ways.
    """
    return read_member(Choose, "choose", value)


def is_refusal(prompt: str, *, of: int = 1) -> bool:
    """Say whether a text is the sentence of a model or a service that does not describe the image.

    :param of: how many prompts the image has.
    """
    return _REFUSAL.match(prompt) is not None or is_complaint(prompt, of=of)


def identity(image: DescribedImage) -> str:
    """Say which image this is: the same bytes are the same image under any key."""
    return image.content_sha256 or f"{image.image_uri} {image.image_version}"


def fraction(purpose: str, seed: int, what: str) -> float:
    """Give a number from 0 to below 1 that is the same for the same image everywhere, and evenly spread."""
    digest = hashlib.sha256(f"{purpose} {seed} {what}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
