"""``make env``: write ``.env`` for docker-compose.yml, with fresh secrets. Needs Python alone."""

# ruff: noqa: T201 - what it prints is for the person who runs it

from __future__ import annotations

import argparse
import base64
import getpass
import json
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY: Final = Path(__file__).resolve().parents[1]

#: Where the simulator of the profile ``demo`` listens.
SIMULATOR: Final = "http://simulator:9876"

#: They would end the quotes around a value, or the JSON that docker-compose.yml makes of it.
_NOT_IN_A_VALUE: Final = "'\"\\\n\r"

_HEAD: Final = """\
# Settings and secrets of docker-compose.yml. Keep it from others, and keep a copy: the databases know its passwords.
"""

_OPTIONS: Final = """
# What else can be set, with the defaults:
# ADMIN_USER=admin
# IMAGES_BUCKET=photos
# WEB_PORT=8080
# WORKER_CONCURRENCY=4
# POSTGRES_MAX_CONNECTIONS=300
# POLL_INTERVAL=3
# A bucket elsewhere: take `store` out of COMPOSE_PROFILES, put your keys into S3_ACCESS_KEY and S3_SECRET_KEY, and set
# S3_ENDPOINT=https://s3.eu-central-1.amazonaws.com
# S3_REGION=eu-central-1
"""


class EnvError(Exception):
    """The file cannot be written; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    given = _parser().parse_args(arguments)
    try:
        write(given.output, settings(given.service, _key(given.service)))
    except EnvError as error:
        print(f"make env: {error}", file=sys.stderr)
        return 1
    print(f"{given.output} is written; only you can read it. The admin's password is in it, as ADMIN_PASSWORD.")
    if given.service is None:
        print("It uses the simulator. For a real service: make env SERVICE=https://its.address")
    return 0


def settings(service: str | None, key: str) -> dict[str, str]:
    """Give every variable that docker-compose.yml insists on; each call makes new secrets.

    :param service: the address of the describe service, None for the simulator.
    :param key: its API key.
    """
    extra = {"price": 0.05, "currency": "USD"} if service is None else {}
    return {
        "COMPOSE_PROFILES": "store,demo" if service is None else "store",
        "MIDJOURNEY_URL": service or SIMULATOR,
        "MIDJOURNEY_KEY": key,
        "MIDJOURNEY_EXTRA": json.dumps(extra),
        "S3_ACCESS_KEY": secrets.token_hex(10),
        "S3_SECRET_KEY": secrets.token_hex(20),
        "ADMIN_PASSWORD": secrets.token_urlsafe(18),
        "POSTGRES_PASSWORD": secrets.token_hex(24),
        "AIRFLOW_DB_PASSWORD": secrets.token_hex(24),
        "IMAGE_PROMPTS_DB_PASSWORD": secrets.token_hex(24),
        "REDIS_PASSWORD": secrets.token_hex(24),
        "FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "API_SECRET_KEY": secrets.token_hex(32),
        "JWT_SECRET": secrets.token_hex(64),
    }


def write(path: Path, values: dict[str, str]) -> None:
    """Write the file for its owner's eyes only.

    :raises EnvError: if there is one already, or it cannot be written.
    """
    # Single quotes: Compose takes what is between them as it is.
    lines = "".join(f"{name}='{value}'\n" for name, value in values.items())
    try:
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise EnvError(
            f"{path} is there already, and the databases know its passwords. To start afresh, remove the volumes"
            " (docker compose down --volumes) and then the file."
        ) from None
    except OSError as error:
        raise EnvError(f"{path} cannot be written: {error.strerror}.") from None
    with os.fdopen(opened, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(f"{_HEAD}{lines}{_OPTIONS}")


def _key(service: str | None) -> str:
    """Take the API key from the environment or from the keyboard, never from the command line."""
    if service is None:
        return secrets.token_hex(16)
    key = os.environ.get("MIDJOURNEY_KEY", "")
    if not key and sys.stdin.isatty():
        key = getpass.getpass(f"API key of {service}: ")
    if not key.strip():
        raise EnvError(f"The API key of {service} is missing: set MIDJOURNEY_KEY, or type it when asked.")
    for what, value in (("API key", key), ("address of the service", service)):
        if any(character in value for character in _NOT_IN_A_VALUE):
            raise EnvError(f"The {what} has a quote, a backslash or a line break in it, which cannot be right.")
    return key.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make env", description=__doc__)
    parser.add_argument("--service", help="address of the describe service; without it, the simulator is used")
    parser.add_argument("--output", type=Path, default=REPOSITORY / ".env", help="the file (default: .env)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
