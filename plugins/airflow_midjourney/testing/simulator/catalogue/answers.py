"""Scenarios about the answer to a submit that got as far as the service."""

from __future__ import annotations

from typing import Final

from airflow_midjourney.testing.simulator.effects import (
    AnswerFault,
    CallbackFault,
    IdentifierForm,
    Refusal,
    StandingFault,
)
from airflow_midjourney.testing.simulator.scenario import NEW_API, NOVICEZK_FAMILY, TRUEAI, Scenario

ANSWERS: Final = (
    Scenario("numeric_result", "result is a JSON number", AnswerFault.NUMERIC_RESULT),
    Scenario("result_17_digits", "ids of 17 digits, above 2^53", IdentifierForm.SEVENTEEN_DIGITS),
    Scenario("leading_zero_id", "ids start with 0", IdentifierForm.LEADING_ZERO),
    Scenario("task_prefix_id", "ids like task_1234567890", IdentifierForm.TASK_PREFIX),
    Scenario(
        "id_collision",
        "a submit gets the id of the one before and overwrites its task",
        IdentifierForm.COLLISION,
    ),
    Scenario("queued_code", "every accepted submit is answered with code 22", AnswerFault.QUEUED_CODE),
    Scenario("spaced_json", "JSON with spaces, so that a gateway does not turn 22 into 1", AnswerFault.SPACED_JSON),
    Scenario("queue_full", "queue full: novicezk 23, trueai 9", Refusal.FULL),
    Scenario("queue_full_then_room", "queue full for two submits, then room", Refusal.FULL, first=2),
    Scenario("no_account", "code 3, no live account", Refusal.NO_ACCOUNT),
    Scenario("crash_code_9", "code 9, the submit crashed inside", Refusal.CRASH),
    Scenario(
        "ta_upload_failed", "trueai code 9: the picture could not be stored", Refusal.UPLOAD_FAILED, dialects=TRUEAI
    ),
    Scenario("ta_uploads_forbidden", "trueai code 4: 禁止上传", Refusal.UPLOADS_FORBIDDEN, dialects=TRUEAI),
    Scenario(
        "ta_concurrency_limit", "trueai success:false, 并发数已达上限", Refusal.CONCURRENCY_LIMIT, dialects=TRUEAI
    ),
    Scenario("ta_queue_limit", "trueai success:false, 队列数已达上限", Refusal.QUEUE_LIMIT, dialects=TRUEAI),
    Scenario("ta_not_configured", "trueai success:false, 服务暂不可用", Refusal.NOT_CONFIGURED, dialects=TRUEAI),
    Scenario("no_credit", "new-api 400 code 4, quota_not_enough", Refusal.NO_CREDIT, dialects=NEW_API),
    Scenario("saturated", "new-api 429 code 30, the group is saturated", Refusal.SATURATED, dialects=NEW_API),
    Scenario(
        "do_request_failed_unsent",
        "new-api 400 code 5, do_request_failed, and the upstream never heard of it",
        Refusal.GATEWAY_GAVE_UP,
        dialects=NEW_API,
    ),
    Scenario(
        "do_request_failed",
        "new-api 400 code 5, do_request_failed, though the upstream took the task; not billed",
        AnswerFault.GATEWAY_GAVE_UP,
        dialects=NEW_API,
    ),
    Scenario(
        "unreadable_upstream",
        "new-api 400 code 5, unmarshal_response_body_failed, though the upstream took the task; not billed",
        AnswerFault.GATEWAY_UNREADABLE,
        dialects=NEW_API,
    ),
    Scenario("ambiguous_submit_reset", "the task is accepted, then the connection is cut", AnswerFault.RESET),
    Scenario("ambiguous_submit_timeout", "the task is accepted, no answer for `hang` seconds", AnswerFault.SILENCE),
    Scenario("ambiguous_submit_500", "the task is accepted, the answer is HTTP 500", AnswerFault.CRASH),
    Scenario("ambiguous_submit_504", "the task is accepted, the answer is 504 HTML", AnswerFault.BAD_GATEWAY),
    Scenario("truncated_json", "the task is accepted, the JSON of the answer breaks off", AnswerFault.TRUNCATED),
    Scenario("bom_json", "the answer starts with a byte order mark", AnswerFault.BYTE_ORDER_MARK),
    Scenario("empty_200", "the task is accepted, the answer is 200 without a body", AnswerFault.EMPTY),
    Scenario("callbacks_none", "no callback is ever sent", CallbackFault.NONE),
    Scenario("callbacks_duplicated", "the last callback is sent twice", CallbackFault.DUPLICATED),
    Scenario("callbacks_reversed", "the callback of the end comes before that of SUBMITTED", CallbackFault.REVERSED),
    Scenario(
        "callbacks_already_ended",
        "the callback of SUBMITTED already says SUCCESS",
        CallbackFault.ALREADY_ENDED,
    ),
    Scenario(
        "callbacks_failure_after_success",
        "a callback FAILURE 任务超时 follows that of SUCCESS",
        CallbackFault.FAILURE_AFTER_SUCCESS,
    ),
    Scenario("callbacks_forged", "a callback for an unknown id is sent as well", CallbackFault.FORGED),
    Scenario("callbacks_late", "callbacks come `pause` seconds late", CallbackFault.LATE),
    Scenario("callback_before_answer", "the submit is answered after the last callback", AnswerFault.AFTER_CALLBACK),
    Scenario(
        "tasks_survive_restart",
        "novicezk on Redis: a restart leaves unfinished tasks as they are for ever",
        StandingFault.TASKS_SURVIVE_RESTART,
        dialects=NOVICEZK_FAMILY,
    ),
    Scenario("expired_image_url", "the address in imageUrl answers 404", StandingFault.ATTACHMENTS_EXPIRED),
    Scenario(
        "gateway_forwards_hooks",
        "new-api lets notifyHook through to the upstream",
        StandingFault.HOOKS_FORWARDED,
        dialects=NEW_API,
    ),
    Scenario("administrator_key", "trueai: the key may cancel tasks", StandingFault.ADMINISTRATOR, dialects=TRUEAI),
)
