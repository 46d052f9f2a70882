"""Scenarios about what becomes of a task."""

from __future__ import annotations

from typing import Any, Final

from airflow_midjourney.testing.simulator.effects import PAUSE, PlanChange
from airflow_midjourney.testing.simulator.model import TIMED_OUT, UPLOAD_FAILED, Failure, FinalPrompt, TaskStatus
from airflow_midjourney.testing.simulator.scenario import NOVICEZK_FAMILY, TRUEAI, Scenario
from airflow_midjourney.testing.simulator.settings import DialectName, Layout


def _plan(
    name: str, explanation: str, dialects: frozenset[DialectName] = frozenset(DialectName), **values: Any
) -> Scenario:
    return Scenario(name, explanation, PlanChange(values), dialects=dialects)


def _embed(title: str, description: str) -> Failure:
    return Failure(f"[{title}] {description}", f"{title}, {description}")


def _plain(text: str) -> Failure:
    return Failure(text, text)


_CAPTCHA = "/captcha/embedded/0f8fad5b-d9cb-469f-a165-70867728950e"
_DENIED = "Request cancelled due to image filters. If you think this is wrong, let us know."
_BANNED = "The filter was triggered by this image. Repeated violations lead to a block."
_BROKEN_LINK = "Could not validate this link. Please try again later."
_INTERNAL = "Something went wrong. Please try again later."

TASKS: Final = (
    _plan("happy", "everything works: NOT_START, SUBMITTED 0%, SUCCESS with four prompts that end in --ar"),
    _plan(
        "style_2025",
        "as bots of 2025 answer, through a plus-family build: sentences, a space before each blank line, "
        "links, no --ar, buttons, finalZhPrompt",
        layout=Layout.BOTS_OF_2025,
        plus_family=True,
    ),
    _plan("keycaps_without_fe0f", "the numbers of the prompts lack U+FE0F", plain_keycaps=True),
    _plan("dirty_text", "the prompts hold NUL, a lone surrogate and a zero-width space", dirty_text=True),
    _plan(
        "ta_partner",
        "trueai partner account: NOT_START straight to SUCCESS, lines divided by \\r\\n",
        TRUEAI,
        partner=True,
    ),
    _plan("ta_partner_three", "as ta_partner, with three prompts", TRUEAI, partner=True, prompt_count=3),
    _plan("ta_language_zh", "finalPrompt and prompt in Chinese, English only in promptEn", TRUEAI, translated=True),
    _plan("ta_early_prompt", "promptEn is there while the status is still SUBMITTED", TRUEAI, prompts_early=True),
    _plan("in_progress", "IN_PROGRESS is seen between SUBMITTED and SUCCESS", NOVICEZK_FAMILY, shows_in_progress=True),
    _plan(
        "start_handler_first",
        "a build of novicezk whose start handler sees messages first: IN_PROGRESS is seen, callbacks are three, and "
        "what the bot complains of becomes 任务超时 after `pause` seconds",
        NOVICEZK_FAMILY,
        shows_in_progress=True,
        errors_time_out_after=PAUSE,
    ),
    _plan(
        "upload_failed",
        "FAILURE before the start: the picture could not be uploaded to Discord",
        failure=UPLOAD_FAILED,
    ),
    _plan("task_timeout", "FAILURE: 任务超时", failure=TIMED_OUT),
    _plan(
        "captcha",
        "FAILURE: the bot asks for a captcha",
        failure=_embed("Action needed to continue", _CAPTCHA),
    ),
    _plan("banned_image", "FAILURE: Banned prompt detected", failure=_embed("Banned prompt detected", _BANNED)),
    _plan("image_denied", "FAILURE: Image denied", failure=_embed("Image denied", _DENIED)),
    _plan("invalid_link", "FAILURE: Invalid link!", failure=_embed("Invalid link!", _BROKEN_LINK)),
    _plan("unknown_interaction", "FAILURE: Unknown interaction", failure=_plain("Unknown interaction")),
    _plan("internal_error", "FAILURE: Internal Server Error", failure=_embed("Internal Server Error", _INTERNAL)),
    _plan(
        "failed_to_process",
        "FAILURE: Failed to process your command",
        failure=_plain("Failed to process your command"),
    ),
    _plan(
        "false_success",
        "SUCCESS whose prompt is an error sentence",
        answer_text="Could not describe this image. Please try again with another one.",
    ),
    _plan(
        "false_success_link",
        "SUCCESS whose prompt says that the bot could not open the link, without the title of its embed",
        answer_text="Could not fetch image. Received status code 403",
    ),
    _plan("two_prompts", "SUCCESS with two prompts", prompt_count=2),
    _plan("no_prompts", "SUCCESS with an empty text", answer_text=""),
    _plan("final_prompt_empty", "SUCCESS with an empty properties.finalPrompt", final_prompt=FinalPrompt.EMPTY),
    _plan("final_prompt_missing", "SUCCESS without properties.finalPrompt", final_prompt=FinalPrompt.MISSING),
    _plan(
        "false_failure",
        "FAILURE 任务超时 with all four prompts filled in",
        failure=TIMED_OUT,
        keeps_prompts_on_failure=True,
    ),
    _plan("stuck_not_start", "NOT_START for ever; no slot is held", stuck_at=TaskStatus.NOT_START),
    _plan("stuck_submitted", "SUBMITTED for ever; no slot is held", stuck_at=TaskStatus.SUBMITTED),
    _plan(
        "hanging_upload",
        "NOT_START for ever, and its slot with it",
        stuck_at=TaskStatus.NOT_START,
        stuck_holds_slot=True,
    ),
    _plan(
        "slow_not_start",
        "the upload takes `pause` seconds, NOT_START meanwhile (trueai: within the submit)",
        upload=PAUSE,
    ),
    _plan("slow_work", "SUBMITTED for `pause` seconds", work=PAUSE),
    _plan(
        "vanish_after_seconds",
        "the task is unknown after `pause` seconds, as with a short store timeout",
        vanishes_after=PAUSE,
    ),
    _plan("unknown_at_first", "the id is unknown for `pause` seconds, then known", hidden_for=PAUSE),
    _plan("foreign_state", "tasks come back with a state that is not the one sent", foreign_state=True),
    _plan(
        "callbacks_after_lost_wakeup",
        "fetch says SUCCESS at once, the slot and the callback are held for `pause` seconds",
        slot_held=PAUSE,
    ),
)
