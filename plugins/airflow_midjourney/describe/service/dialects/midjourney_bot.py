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
            "blocked by moderation",
            "rejected by moderation",
            "flagged by moderation",
            "moderation blocked",
            "violates our policy",
        ),
        Reason.TIMEOUT: ("timeout", "timed out", "deadline exceeded"),
        Reason.SERVICE_ERROR: (
            "internal server error",
            "internal error",
            "server error",
            "captcha",
            "your account",
            "could not fetch image",
            "account has been flagged",
            "received status code",
            "subscription",
            "account disabled",
            "account suspended",
            "action needed to continue",
            "verify you are human",
            "agree to our terms",
            "please subscribe",
            "payment failed",
            "due to extreme demand",
            "out of fast hours",
            "all your fast hours",
            "under maintenance",
            "is currently unavailable",
            "is temporarily disabled",
            "verify your email",
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
    # Not "your account" alone: a sentence about a forbidden image warns of what may become of the account.
    blocked_account=(
        "pending moderation",
        "your account has been",
        "your account was",
        "your account is",
        *(
            f"account {how}{what}"
            for how in ("is ", "was ", "has been ", "is temporarily ", "has been temporarily ")
            for what in ("banned", "blocked", "disabled", "locked", "restricted", "suspended")
        ),
        *(
            f"{you} {how}{what}"
            for you in ("you are", "you're", "you have been", "you've been")
            for how in ("", "currently ", "temporarily ", "permanently ")
            for what in ("banned", "blocked", "restricted", "suspended")
        ),
    ),
)
