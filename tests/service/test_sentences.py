"""Sentences of relays, in several languages, have their reason; descriptions have none."""

from __future__ import annotations

import pytest

from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.service.dialects import reason_in
from airflow_midjourney.describe.service.tasks import Ended, parse_task, read_answer
from tests.support.remote import TASK_ID


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("You have been blocked from accessing Midjourney.", Reason.SERVICE_ERROR),
        ("Action needed to continue: verify you are human.", Reason.SERVICE_ERROR),
        ("Your job queue is full. Please wait for a job to finish first.", Reason.SERVICE_ERROR),
        ("You've run out of fast hours!", Reason.SERVICE_ERROR),
        ("The application did not respond", Reason.SERVICE_ERROR),
        ("Unable to download image from the link.", Reason.SERVICE_ERROR),
        ("502 Bad Gateway", Reason.SERVICE_ERROR),
        ("系统繁忙，请稍后再试", Reason.SERVICE_ERROR),
        ("图片下载失败", Reason.SERVICE_ERROR),
        ("context deadline exceeded", Reason.TIMEOUT),
        ("图片审核不通过", Reason.BANNED),
        ("图片过大", Reason.REFUSED),
        ("圖片過大", Reason.REFUSED),
        ("不支持的图片格式", Reason.REFUSED),
        ("Unsupported media type", Reason.REFUSED),
        ("圖片違規", Reason.BANNED),
        ("內容審核未通過", Reason.BANNED),
        ("图片涉黄", Reason.BANNED),
        ("Potentially NSFW image", Reason.BANNED),
        ("Image rejected by moderation", Reason.BANNED),
        ("Sensitive content detected", Reason.BANNED),
        ("不適切な画像です", Reason.BANNED),
        ("504 Gateway Time-out", Reason.TIMEOUT),
        ("任務執行逾時", Reason.TIMEOUT),
        ("タイムアウトしました", Reason.TIMEOUT),
        ("系統繁忙，請稍後再試", Reason.SERVICE_ERROR),
        ("上傳失敗", Reason.SERVICE_ERROR),
        ("任务已取消", Reason.SERVICE_ERROR),
        ("Failed to download image", Reason.SERVICE_ERROR),
        ("Midjourney is under maintenance", Reason.SERVICE_ERROR),
        ("account_banned", Reason.SERVICE_ERROR),
        ("您的帳戶因違規已被停用", Reason.SERVICE_ERROR),
        ("Your account has been suspended for violating our Community Guidelines.", Reason.SERVICE_ERROR),
        ("You have been temporarily blocked for breaking our community standards.", Reason.SERVICE_ERROR),
        ("Pending moderation message: acknowledge our community guidelines to go on.", Reason.SERVICE_ERROR),
        ("Account is suspended: content policy", Reason.SERVICE_ERROR),
        ("您的账号因违规已被限制使用", Reason.SERVICE_ERROR),
        ("该账户已被封禁（违规）", Reason.SERVICE_ERROR),
        ("您的账户存在违规，已停用", Reason.SERVICE_ERROR),
        ("Your account was permanently suspended (community standards)", Reason.SERVICE_ERROR),
        # A warning about an image is about the image.
        ("AI moderator: this image is against our community standards. Your account may be blocked.", Reason.BANNED),
        ("Banned prompt detected. Repeated attempts will cost you your account.", Reason.BANNED),
        ("图片违规，多次违规将封禁账号", Reason.BANNED),
    ],
)
def test_sentences_that_relays_pass_on_are_known_in_place_of_prompts_and_in_failures(
    sentence: str, reason: Reason
) -> None:
    for task in ({"status": "SUCCESS", "promptEn": sentence}, {"status": "FAILURE", "failReason": sentence}):
        ended = read_answer(parse_task({"id": TASK_ID, **task}))

        assert isinstance(ended, Ended)
        assert ended.reason is reason


@pytest.mark.parametrize(
    "prompt",
    [
        "a road sign that says slow down, rain",
        "a waiter at capacity, oil painting",
        "a sensitive portrait, inner content",
    ],
)
def test_descriptions_are_no_complaints(prompt: str) -> None:
    assert reason_in(prompt) is None
