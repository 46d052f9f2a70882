"""The address that the service calls when a task changes: ours ends with a value that only this submission has."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from airflow_midjourney.describe.model.errors import SettingsError

_BYTES: Final = 24
_VALUE: Final = re.compile(r"[A-Za-z0-9_-]{32}")


def new_callback() -> str:
    """Give an unguessable value for one submission. A caller who knows it can let us look earlier, and nothing else."""
    return secrets.token_urlsafe(_BYTES)


def is_callback(value: str) -> bool:
    """Say whether a stranger's text looks like such a value at all."""
    return _VALUE.fullmatch(value) is not None


def digest_of(callback: str) -> str:
    """Give what the table keeps of it: no reader of the table can call, and no stranger's text gets there."""
    return hashlib.sha256(callback.encode()).hexdigest()


def callback_address(address: str, callback: str) -> str:
    """Give the address for one submission.

    :param address: the extra ``callback_url`` of the connection.
    :param callback: becomes the last part of its path; empty to leave the address as it is.
    """
    if not callback:
        return address
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{callback}"))


def check_callback_url(address: str) -> None:
    """Refuse an address that no service could call.

    :raises SettingsError: if it is no address of a web server.
    """
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.fragment
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(
            "extra callback_url must be an address such as https://airflow.example.com/midjourney-callbacks."
        )
