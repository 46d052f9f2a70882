"""Programs of others that are built from Go's module proxy, for tests of what only they do."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.support.airflow_home import REPOSITORY


def go_program(name: str) -> str:
    """Give the path of a program, or leave the test out; CI has to build it where Go is."""
    built = REPOSITORY / "build" / "go" / name
    found = str(built) if built.exists() else shutil.which(name)
    if found:
        return found
    if os.environ.get("CI") == "true" and shutil.which("go"):
        pytest.fail(f"There is no {name}, though Go is there: make go-programs")
    pytest.skip(f"There is no {name} on this machine; make go-programs builds it where Go is.")
