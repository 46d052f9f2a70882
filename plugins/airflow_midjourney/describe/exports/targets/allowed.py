"""Where exports may go, whatever a DAG's parameters say."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.storage.allowed_uris import climbs

if TYPE_CHECKING:
    from collections.abc import Sequence

_S3 = "s3://"


def check_target(target: str, patterns: Sequence[str], conn_id: str, argument: str = "target") -> None:
    """Refuse a place that no pattern allows.

    A pattern is matched against the whole target, case-sensitively: ``*`` stands for any characters, ``/`` among them.
    A target with a segment ``.`` or ``..`` matches none: file systems and some S3 servers resolve it to elsewhere.

    :param target: ``s3://bucket/prefix`` or the absolute path of a folder or file, as the task was given it.
    :param patterns: ``allowed_targets`` of a connection; without any pattern every target is allowed.
    :param conn_id: of that connection, for the message.
    :param argument: the task's argument that names the place, for the message.
    :raises SettingsError: if it is refused, or a pattern could match nothing.
    """
    for pattern in patterns:
        if not pattern.startswith((_S3, "/")):
            raise SettingsError(
                f"Connection {conn_id!r}: allowed_targets has the pattern {pattern!r}, which matches nothing. Begin it"
                " with 's3://' or, for a folder of the workers, with '/'; as in 's3://exports/*'."
            )
    if not patterns:
        return
    if climbs(target) or not any(fnmatchcase(target, pattern) for pattern in patterns):
        raise SettingsError(
            f"{argument}={target!r} is outside allowed_targets of connection {conn_id!r}, so it is not touched."
            f" Choose another {argument}, or ask who administers the connection to allow this one."
        )
