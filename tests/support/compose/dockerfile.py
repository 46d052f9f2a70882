"""Reading the Dockerfile: stages, and what each copies from the repository."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.support.airflow_home import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

DOCKERFILE: Final = REPOSITORY / "Dockerfile"

_WITHOUT: Final = shutil.ignore_patterns("__pycache__", "*.pyc", ".mypy_cache", ".ruff_cache")


@dataclass
class Stage:
    """One stage.

    :param base: its image, or the stage before it.
    :param copies: sources in the repository, by target.
    """

    name: str
    base: str
    copies: list[tuple[list[str], str]] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    user: str = ""


def stages() -> list[Stage]:
    """Give the stages in their order; the last one may have no name."""
    found: list[Stage] = []
    for instruction, rest in _instructions():
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(name, base))
        elif instruction == "COPY" and not rest.startswith("--from="):
            *sources, target = [word for word in shlex.split(rest) if not word.startswith("--")]
            found[-1].copies.append((sources, target))
        elif instruction == "RUN":
            found[-1].runs.append(rest)
        elif instruction == "USER":
            found[-1].user = rest
    return found


def copied_to_build(stage: str, folder: Path) -> Path:
    """Copy to a folder what a stage copies to its working directory."""
    folder.mkdir()
    (chosen,) = [one for one in stages() if one.name == stage]
    for sources, target in chosen.copies:
        for source in sources:
            path = REPOSITORY / source
            if path.is_dir():
                shutil.copytree(path, folder / target, ignore=_WITHOUT)
            else:
                shutil.copy(path, folder / target)
    return folder


def _instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [(line.split()[0].upper(), line.partition(" ")[2].strip()) for line in lines]
