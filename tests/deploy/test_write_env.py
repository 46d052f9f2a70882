"""``make env``: fresh secrets, for the owner's eyes, never over another file."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.airflow_home import REPOSITORY
from tests.support.compose.reading import read_env

if TYPE_CHECKING:
    from pathlib import Path

#: Values that are no secrets.
PLAIN = {"COMPOSE_PROFILES", "MIDJOURNEY_URL", "MIDJOURNEY_EXTRA"}


def write(path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(REPOSITORY / "deploy" / "write_env.py"), "--output", str(path), *arguments]
    kept = {name: value for name, value in os.environ.items() if name != "MIDJOURNEY_KEY"}
    return subprocess.run(
        command, env=kept | variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def test_secrets_are_long_random_and_each_its_own(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert (write(first).returncode, write(second).returncode) == (0, 0)

    one, other = read_env(first), read_env(second)
    secrets = [value for name, value in one.items() if name not in PLAIN]
    assert len(set(secrets)) == len(secrets) >= 11
    assert all(len(secret) >= 20 for secret in secrets)
    assert not set(secrets) & set(other.values())
    assert len(base64.urlsafe_b64decode(one["FERNET_KEY"])) == 32


def test_only_the_owner_can_read_it_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    old = os.umask(0o000)
    try:
        done = write(path)
    finally:
        os.umask(old)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_env(path)["ADMIN_PASSWORD"] not in done.stdout + done.stderr


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("MINE=1\n")

    done = write(path)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is there already" in done.stderr
    assert path.read_text() == "MINE=1\n"


def test_without_a_service_it_is_the_simulator(tmp_path: Path) -> None:
    write(tmp_path / ".env")

    values = read_env(tmp_path / ".env")
    assert values["COMPOSE_PROFILES"] == "store,demo"
    assert values["MIDJOURNEY_URL"] == "http://simulator:9876"
    assert json.loads(values["MIDJOURNEY_EXTRA"]) == {"price": 0.05, "currency": "USD"}


def test_with_a_service_it_takes_the_key_from_the_environment(tmp_path: Path) -> None:
    done = write(tmp_path / ".env", "--service", "https://api.example.com", MIDJOURNEY_KEY="sk-$1 #2")

    values = read_env(tmp_path / ".env")
    assert done.returncode == 0
    assert (values["MIDJOURNEY_URL"], values["MIDJOURNEY_KEY"]) == ("https://api.example.com", "sk-$1 #2")
    assert values["COMPOSE_PROFILES"] == "store"
    assert json.loads(values["MIDJOURNEY_EXTRA"]) == {}


@pytest.mark.parametrize(
    ("key", "complaint"),
    [("", "is missing"), ("  ", "is missing"), ("sk'1", "a quote"), ('sk"1', "a quote"), ("sk\n1", "a line break")],
)
def test_a_key_that_cannot_be_right_is_refused_in_one_line(tmp_path: Path, key: str, complaint: str) -> None:
    done = write(tmp_path / ".env", "--service", "https://api.example.com", MIDJOURNEY_KEY=key)

    assert done.returncode == 1
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / ".env").exists()
