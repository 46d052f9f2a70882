"""The Midjourney bot and Discord behind every service, which pass on their sentences as they are."""

from __future__ import annotations

from typing import Final

from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.service.dialects.dialect import Dialect

MIDJOURNEY_BOT: Final = Dialect(
    name="midjourney-bot",
    complaints={
        Reason.BANNED: (
            "banned prompt",
            "banned word",
            "image denied",
            "image filter",
            "ai moderator",
            "community standards",
            "community guidelines",
            "blocked by our moderation",
            "violates our policy",
        ),
        Reason.TIMEOUT: ("timeout", "timed out", "deadline exceeded"),
        Reason.SERVICE_ERROR: (
            "internal server error",
            "captcha",
            "your account",
            "pending moderation",
            "could not fetch image",
            "received status code",
            "subscription",
            "you have been blocked",
            "you are currently blocked",
            "account is banned",
            "account disabled",
            "action needed to continue",
            "verify you are human",
            "agree to our terms",
            "please subscribe",
            "payment failed",
            "due to extreme demand",
            "out of fast hours",
            "run out of hours",
            "fast hours exhausted",
            "credits exhausted",
            "job queue is full",
            "slow down! you",
            "rate limited",
            "too many requests",
            "application did not respond",
            "interaction failed",
            "unknown interaction",
            "unknown message",
            "midjourney is undergoing",
            "servers are currently at capacity",
            "unable to download image",
            "failed to load image",
            "could not load image",
            "image could not be loaded",
            "bad gateway",
            "service unavailable",
            # The service made the link of the bytes it was sent, and the image was checked before that: if the bot
            # cannot open the link, the image is not why.
            "invalid link",
            "failed to process",
            "something went wrong",
            "try again later",
        ),
    },
)
