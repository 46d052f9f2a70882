"""Times in the answers of S3, read by Python itself: with botocore's own reader they take most of a listing's time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.utils import parse_timestamp

if TYPE_CHECKING:
    from boto3.session import Session


def read_times_quickly(session: Session) -> Session:
    """Let the clients that a session makes from now on read times quickly.

    :param session: is changed, and given back.
    """
    # The AWS command line sets its own reader in the same way; boto3 has no other door to botocore's session.
    parsers = session._session.get_component("response_parser_factory")
    parsers.set_parser_defaults(timestamp_parser=read_time)
    return session


def read_time(value: Any) -> datetime:
    """Read a time as any AWS service writes it.

    :param value: such as ``2026-01-31T12:00:00.000Z``, as listings have it; or an HTTP date, or a number of seconds.
    :return: the same moment as from botocore, with a time zone.
    :raises ValueError: if it is no time.
    """
    if isinstance(value, str) and value.endswith("Z"):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    try:
        moment: datetime = parse_timestamp(value)
    except RuntimeError as error:
        # Of a number of milliseconds, say.
        raise ValueError(str(error)) from error
    return moment
