"""File names made of keys by strangers."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_midjourney.describe.exports.formats.as_imagefolder import visible_name
from airflow_midjourney.describe.exports.naming import common_folder, file_name, sameness
from airflow_midjourney.describe.model.batch import Scope

KEYS = st.text(
    st.one_of(st.sampled_from('./\\:*?"<>|%~ -_\0\r\naAäß'), st.characters(exclude_categories=["Cs"])),
    min_size=1,
    max_size=120,
)


def image(key: str, media_type: str | None = None) -> Any:
    return SimpleNamespace(key=key, media_type=media_type)


@given(KEYS)
@example("../../etc/passwd")
@example("/absolute/x.jpg")
@example("C:\\Windows\\x.jpg")
@example("a//b.jpg")
@example("a/./b/../c.jpg")
@example("CON.jpg")
@example("a. /b .jpg")
@example("x" * 1024)
@example("a/" * 500 + "b.jpg")
@example("\0.jpg")
def test_a_name_stays_within_the_target_and_is_safe_everywhere(key: str) -> None:
    name = file_name(image(key), "")

    assert not PurePosixPath(name).is_absolute()
    assert not PureWindowsPath(name).is_absolute()
    assert PureWindowsPath(name).drive == ""
    for part in name.split("/"):
        assert part not in ("", ".", "..")
        assert not re.search(r'[\x00-\x1f\x7f\\:*?"<>|]', part)
        assert not part.startswith((".", "__", " "))
        assert not part.endswith((".", " "))
        assert len(part.encode()) <= 255
    assert len(name.encode()) <= 620


@pytest.mark.parametrize("stem", ["con", "nul", "COM1", "com\u00b9", "LPT\u00b2", "lpt\u00b3", "nul ", "aux.tar"])
def test_devices_of_windows_are_written_as_numbers(stem: str) -> None:
    assert file_name(image(f"{stem}.jpg"), "").startswith(f"%{ord(stem[0]):02X}")


@given(KEYS, KEYS)
def test_different_keys_have_different_names(one: str, other: str) -> None:
    assert (file_name(image(one), "") == file_name(image(other), "")) == (one == other)


@given(KEYS)
def test_a_short_name_says_the_key(key: str) -> None:
    name = file_name(image(key), "")
    if "%~" not in name and "//" not in key and not key.startswith("/") and not key.endswith("/"):
        assert unquote(name) == key
        assert unquote(visible_name(name)) == key


@given(st.text(st.sampled_from("train-test. _0/valid"), max_size=30))
def test_no_folder_bears_the_name_of_a_split(key: str) -> None:
    *folders, _ = visible_name(file_name(image(f"{key}/x.jpg"), "")).split("/")
    words = {word for folder in folders for word in re.split(r"[-._ 0-9]", folder)}
    assert not words & {
        "train",
        "training",
        "validation",
        "valid",
        "dev",
        "val",
        "test",
        "testing",
        "eval",
        "evaluation",
    }


@pytest.mark.parametrize(
    ("key", "media_type", "name"),
    [
        ("photo", "image/png", "photo.png"),
        ("photo.JPG", "image/png", "photo.JPG"),
        ("photo.v2", "image/jpeg", "photo.v2.jpg"),
        ("photo", None, "photo"),
    ],
)
def test_a_key_without_an_images_ending_gets_one(key: str, media_type: str | None, name: str) -> None:
    assert file_name(image(key, media_type), "") == name


@pytest.mark.parametrize(
    ("scope", "folder"),
    [
        (Scope("b", ("in/2026/",)), "in/2026/"),
        (Scope("b", ("in/20",)), "in/"),
        (Scope("b", ("in/a/", "in/b/")), "in/"),
        (Scope("b", ("a", "b")), ""),
        (Scope("b", ("",)), ""),
        (Scope("b", keys=("in/a.jpg", "in/b.jpg")), "in/"),
        (Scope("b", keys=("in/a.jpg",)), "in/"),
    ],
)
def test_names_are_relative_to_what_the_scope_has_in_common(scope: Scope, folder: str) -> None:
    assert common_folder(scope) == folder


def test_names_that_a_disk_may_take_for_one_are_the_same() -> None:
    assert sameness("É/A.jpg") == sameness("é/a.JPG")
    assert sameness("a") != sameness("b")
