"""The prompts, what they cost, and when they came."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, Integer, Numeric

from airflow_midjourney.describe.table.columns import PlainText, UTCDateTime

PROMPT_COLUMNS: Final = ("prompt_1", "prompt_2", "prompt_3", "prompt_4")


def answer_columns() -> list[Column[Any]]:
    """Its prompts, as they were parsed."""
    return [
        Column(
            "prompt_1",
            PlainText,
            comment="First prompt, cleaned. Empty until an answer comes, then kept until a new answer is committed.",
        ),
        Column("prompt_2", PlainText, comment="Second prompt, cleaned. Empty where the answer had fewer."),
        Column("prompt_3", PlainText, comment="Third prompt, cleaned. Empty where the answer had fewer."),
        Column("prompt_4", PlainText, comment="Fourth prompt, cleaned. Empty where the answer had fewer."),
        Column("prompt_count", Integer, comment="Prompts in the answer, 1 to 4. Empty until the image is described."),
        Column(
            "prompt_raw",
            PlainText,
            comment=(
                "The answer as the service gave it, for a better parser. Also kept of an answer that could not be "
                "read. Empty before an answer."
            ),
        ),
        Column(
            "aspect_ratio",
            PlainText,
            comment="Value of --ar in the answer, such as 3:2. Empty where the answer names none.",
        ),
        Column(
            "parser_version",
            Integer,
            comment="Version of the parser that made the prompts. Reparse raises it. Empty without prompts.",
        ),
        Column(
            "prompts_sha256",
            PlainText,
            comment=(
                "SHA-256 of prompts and aspect ratio as parsed. Where it does not fit them, a person has corrected "
                "them, and reparse leaves them. Empty without prompts, or where an older release wrote them."
            ),
        ),
        Column(
            "reader",
            PlainText,
            comment=(
                "Fingerprint of what could be read (formats, limits) by the worker that read or rejected the object. "
                "Empty before."
            ),
        ),
    ]


def price_and_time_columns() -> list[Column[Any]]:
    """What it cost, and when."""
    return [
        Column(
            "price",
            Numeric(18, 6),
            comment=(
                "Price of the accepted submission. 0 where the answer of a twin was shared. Empty where no price is "
                "set."
            ),
        ),
        Column("currency", PlainText, comment="Currency of price, as set on the connection. Empty where none is set."),
        Column(
            "submitted_at",
            UTCDateTime,
            comment=(
                "When a worker committed that the service had accepted the image. Empty before, and from the next "
                "claim on."
            ),
        ),
        Column("started_at", UTCDateTime, comment="When the service began, by its own clock. Empty until it says so."),
        Column(
            "finished_at",
            UTCDateTime,
            comment="When the service finished, by its own clock. Empty until it says so.",
        ),
        Column(
            "ended_at",
            UTCDateTime,
            comment=(
                "When the row reached a status that ends it (succeeded, failed, rejected, in_doubt). Empty while it "
                "is open."
            ),
        ),
    ]
