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
        ),
        Reason.TIMEOUT: ("timeout", "timed out"),
        Reason.SERVICE_ERROR: (
            "internal server error",
            "captcha",
            "your account",
            "pending moderation",
            "could not fetch image",
            "received status code",
            "subscription",
            "unknown interaction",
            # The service made the link of the bytes it was sent, and the image was checked before that: if the bot
            # cannot open the link, the image is not why.
            "invalid link",
            "failed to process",
            "something went wrong",
            "try again later",
        ),
    },
)
