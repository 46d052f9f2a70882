"""The wheel, and environments that have it and borrow all else from the one that runs the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

from tests.support.airflow_home import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def build_wheel(source: Path) -> Path:
    """Build the wheel from a copy in a folder, so that nothing is left behind here."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    copy_of("plugins", source)
    copy_of("dags", source)
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(source / "dist"), str(source)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next((source / "dist").glob("*.whl"))


def copy_of(name: str, folder: Path) -> Path:
    """Copy a folder of the repository as a download has it."""
    without = shutil.ignore_patterns("__pycache__", ".mypy_cache", ".ruff_cache")
    return shutil.copytree(REPOSITORY / name, folder / name, ignore=without)


def python_with(wheel: Path, folder: Path) -> Path:
    """Make an environment that has the wheel, and borrows what it needs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    packages = next((folder / "lib").glob("python*/site-packages"))
    (packages / "borrowed.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    install = ["pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(python), str(wheel)]
    subprocess.run([sys.executable, "-m", "uv", *install], check=True)
    return python


def clean_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
