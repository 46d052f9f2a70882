"""The images of the demo are what it says they are."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from demo.photos import PREFIX, StoredImage, make_images

NOT_PHOTOGRAPHS = {"coffee (copy).webp", "cut-off.jpg", "empty.jpg", "notes.jpg"}


@pytest.fixture(scope="module")
def images() -> dict[str, StoredImage]:
    return {image.name: image for image in make_images()}


@pytest.fixture(scope="module")
def photographs(images: dict[str, StoredImage]) -> dict[str, Image.Image]:
    opened: dict[str, Image.Image] = {
        name: Image.open(io.BytesIO(images[name].body)) for name in images.keys() - NOT_PHOTOGRAPHS
    }
    for image in opened.values():
        image.load()
    return opened


def test_there_are_twelve_keys_under_one_day(images: dict[str, StoredImage]) -> None:
    assert len(images) == 12
    assert len({image.key for image in images.values()}) == 12
    assert all(image.key == PREFIX + name for name, image in images.items())


def test_eight_are_photographs_of_different_things(
    images: dict[str, StoredImage], photographs: dict[str, Image.Image]
) -> None:
    assert len(photographs) == 8
    assert len({images[name].body for name in photographs}) == 8
    for name, image in photographs.items():
        shades = len(np.unique(np.asarray(image.convert("L"))))
        assert shades > 150, f"{name} has {shades} shades of gray only"


def test_they_come_in_three_formats_and_one_has_to_be_converted(photographs: dict[str, Image.Image]) -> None:
    assert {image.format for image in photographs.values()} == {"PNG", "JPEG", "WEBP"}
    assert max(max(image.size) for image in photographs.values()) > 2048


def test_the_copy_has_the_bytes_of_its_original(images: dict[str, StoredImage]) -> None:
    assert images["coffee (copy).webp"].body == images["coffee.webp"].body


def test_three_are_no_images(images: dict[str, StoredImage]) -> None:
    assert images["empty.jpg"].body == b""
    assert images["notes.jpg"].body.decode().startswith("Monday")
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(images["cut-off.jpg"].body)).load()


def test_they_are_the_same_bytes_each_time(images: dict[str, StoredImage]) -> None:
    assert {image.name: image for image in make_images()} == images
