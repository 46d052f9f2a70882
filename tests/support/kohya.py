"""How kohya sd-scripts finds images and captions, in our words: the package itself needs torch.

After ``library/train_util.py`` of kohya-ss/sd-scripts: ``glob_images``, ``DreamBoothDataset.read_caption`` and
``BaseDataset.process_caption``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".PNG", ".JPG", ".JPEG", ".WEBP", ".BMP")


def read_captions(folder: Path, extension: str, *, wildcard: bool) -> dict[Path, list[str]]:
    """Give what each image may be trained with, of a folder and all its folders, each of which is a subset.

    :raises AssertionError: where the trainer would stop.
    """
    images = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name.endswith(ENDINGS)]
    return {path: _choices(_read(path, extension, wildcard=wildcard), wildcard=wildcard) for path in images}


def _read(image: Path, extension: str, *, wildcard: bool) -> str:
    path = image.with_suffix(extension)
    assert path.is_file(), f"no caption for {image}"
    with path.open(encoding="utf-8") as file:
        lines = file.readlines()
    assert lines, f"caption file is empty: {path}"
    if wildcard:
        return "\n".join(line.strip() for line in lines if line.strip())
    return lines[0].strip()


def _choices(caption: str, *, wildcard: bool) -> list[str]:
    """Give every caption that a step may take, of which the trainer takes one at random."""
    if not wildcard:
        return caption.split("\n")[:1]
    return [_without_wildcards(line) for line in caption.split("\n")]


def _without_wildcards(line: str) -> str:
    opening, closing = "\ue000", "\ue001"
    line = line.replace("{{", opening).replace("}}", closing)
    line = re.sub(r"\{([^}]+)\}", lambda choice: f"<one of {choice[1]}>", line)
    return line.replace(opening, "{").replace(closing, "}")
