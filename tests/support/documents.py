"""What the README and the guides tell a user to write: their snippets and commands."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.support.airflow_home import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

_PAGES: Final = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
_PYTHON: Final = re.compile(r"^```python(?P<run> run)?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_TEMPLATE: Final = re.compile(r"`([^`\n]*\{\{[^`\n]*)`")
_TRIGGER: Final = re.compile(r"airflow dags trigger (\w+) --conf '(.*?)'", re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    """A piece of Python in a document.

    :param is_a_program: whether it is marked as one that runs by itself.
    """

    place: str
    text: str
    is_a_program: bool


@dataclass(frozen=True)
class TriggerCommand:
    """A command that triggers one of the example DAGs."""

    place: str
    dag_id: str
    conf: dict[str, Any]


def pages() -> list[Path]:
    """Give the documents."""
    return list(_PAGES)


def snippets() -> list[Snippet]:
    """Give all pieces of Python of the documents."""
    return [
        Snippet(_place(page, text, match.start()), match["text"], match["run"] is not None)
        for page in _PAGES
        for text in [page.read_text("utf-8")]
        for match in _PYTHON.finditer(text)
    ]


def trigger_commands() -> list[TriggerCommand]:
    """Give all commands with parameters that trigger an example DAG, those in the DAGs' own words too."""
    return [
        TriggerCommand(_place(page, text, match.start()), match[1], json.loads(match[2]))
        for page in [*_PAGES, *sorted((REPOSITORY / "dags").glob("*.py"))]
        for text in [page.read_text("utf-8")]
        for match in _TRIGGER.finditer(text)
    ]


def templates() -> list[str]:
    """Give all texts with a Jinja template that stand between backticks in a line."""
    return [one for page in _PAGES for one in _TEMPLATE.findall(page.read_text("utf-8"))]


def _place(page: Path, text: str, offset: int) -> str:
    return f"{page.relative_to(REPOSITORY)}:{text.count(chr(10), 0, offset) + 1}"
