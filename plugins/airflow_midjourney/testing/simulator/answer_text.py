"""The text of an answer: four prompts in one of the layouts that bots have used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_midjourney.testing.simulator.settings import Layout
from airflow_midjourney.testing.simulator.wording import aspect_ratio, in_chinese, lists, sentences, word

if TYPE_CHECKING:
    from airflow_midjourney.testing.simulator.model import TaskPlan
    from airflow_midjourney.testing.simulator.vision import ImageReading


def answer_text(reading: ImageReading, plan: TaskPlan) -> str:
    """What the bot says about a picture."""
    if plan.answer_text is not None:
        return plan.answer_text
    wording = word(reading)
    if plan.partner:
        return "\r\n".join(sentences(wording)[: plan.prompt_count])
    if plan.layout is Layout.BOTS_OF_2025:
        text = _blocks(sentences(wording), plan, " \n\n")
    else:
        ratio = aspect_ratio(reading)
        with_ratio = tuple(f"{prompt} --ar {ratio}" for prompt in lists(wording))
        text = _blocks(with_ratio, plan, "\n\n")
    return f"{text[:8]}\x00{text[8:16]}\ud83d{text[16:24]}\u200b{text[24:]}" if plan.dirty_text else text


def translated_text(reading: ImageReading, plan: TaskPlan) -> str:
    """The answer as trueai's translator gives it."""
    prompts = in_chinese(reading)
    return "\r\n".join(prompts[: plan.prompt_count]) if plan.partner else _blocks(prompts, plan, "\n\n")


def _blocks(prompts: tuple[str, ...], plan: TaskPlan, divider: str) -> str:
    keycap = "\u20e3" if plan.plain_keycaps else "\ufe0f\u20e3"
    chosen = prompts[: plan.prompt_count]
    return divider.join(f"{number}{keycap} {prompt}" for number, prompt in enumerate(chosen, start=1))
