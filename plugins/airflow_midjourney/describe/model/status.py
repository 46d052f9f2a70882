"""What a row of the metadata table can be, why, and what follows from it: the one home of these rules."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class BotType(StrEnum):
    """The two bots that can describe an image; the values are those of the remote API."""

    MID_JOURNEY = "MID_JOURNEY"
    NIJI_JOURNEY = "NIJI_JOURNEY"


class Status(StrEnum):
    """Where one version of one image stands for one bot."""

    PENDING = "pending"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    IN_DOUBT = "in_doubt"


class Reason(StrEnum):
    """Why a row failed, was rejected or goes round again."""

    BANNED = "banned"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    LOST = "lost"
    SERVICE_ERROR = "service_error"
    UNPARSEABLE = "unparseable"

    CORRUPT = "corrupt"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    MISSING = "missing"
    REPLACED = "replaced"
    ARCHIVED = "archived"
    DENIED = "denied"
    NOT_ALLOWED = "not_allowed"
    UNPROCESSABLE = "unprocessable"
    ERASED = "erased"


#: Rows that hold one of the account's slots.
IN_FLIGHT: Final = (Status.SUBMITTING, Status.SUBMITTED)

#: Rows that something still has to happen to before their batch has ended.
OPEN: Final = (Status.PENDING, Status.SUBMITTING, Status.SUBMITTED)

#: Why an image was never sent; all other reasons are those of images that the service had, or refused.
REJECTED_FOR: Final = frozenset(
    {
        Reason.CORRUPT,
        Reason.UNSUPPORTED_FORMAT,
        Reason.TOO_LARGE,
        Reason.EMPTY,
        Reason.MISSING,
        Reason.REPLACED,
        Reason.ARCHIVED,
        Reason.DENIED,
        Reason.NOT_ALLOWED,
        Reason.UNPROCESSABLE,
        Reason.ERASED,
    }
)

#: A second attempt may well succeed: the image itself was not the reason.
CURABLE: Final = frozenset({Reason.TIMEOUT, Reason.LOST, Reason.SERVICE_ERROR})

#: Many of these in a row say that something other than the images is broken.
NOT_THE_IMAGES_FAULT: Final = frozenset({Reason.REFUSED, Reason.TIMEOUT, Reason.LOST, Reason.SERVICE_ERROR})

#: A reader that knows more formats, or has higher limits, may take these after all.
DEPENDS_ON_THE_READER: Final = frozenset({Reason.CORRUPT, Reason.UNSUPPORTED_FORMAT, Reason.TOO_LARGE})

#: Rejected for what stands around the image, not for what is in it: where nothing succeeded, these fail a batch.
NOT_THE_IMAGES_CONTENT: Final = frozenset(
    {Reason.MISSING, Reason.REPLACED, Reason.ARCHIVED, Reason.DENIED, Reason.NOT_ALLOWED}
)
