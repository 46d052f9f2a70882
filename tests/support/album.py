"""The pictures of the documents, and which menu each of them shows: a test cannot read that from the pixels."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

#: Beside the pictures: name of the file, its digest, the entries of the menu in it.
NOTES: Final = "menus.json"


def digest_of(picture: Path) -> str:
    """Give what tells whether a picture is the one that was noted."""
    return hashlib.sha256(picture.read_bytes()).hexdigest()


def read_notes(album: Path) -> dict[str, dict[str, object]]:
    """Give what is noted of each picture."""
    notes = album / NOTES
    return dict(json.loads(notes.read_text("utf-8"))) if notes.exists() else {}


def note_menu(picture: Path, menu: list[str]) -> None:
    """Note which menu a picture shows."""
    notes = read_notes(picture.parent) | {picture.name: {"sha256": digest_of(picture), "menu": menu}}
    still_there = {name: note for name, note in sorted(notes.items()) if (picture.parent / name).exists()}
    (picture.parent / NOTES).write_text(json.dumps(still_there, indent=2) + "\n", "utf-8")
