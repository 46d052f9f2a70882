"""The images of the demo: eight photographs, and four keys that every real bucket has sooner or later.

The scikit-image wheel brings the photographs along; nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image

from demo.pictures import Pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUCKET: Final = "photos"

#: The day is a fixed one, so that a second demo finds the same keys, whenever it runs.
PREFIX: Final = "incoming/2026-01-31/"

PICTURES: Final = Pictures(BUCKET, PREFIX)

#: Side in pixels that the service's own limit of 2,048 makes the product convert.
_LARGE: Final = 2964


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One object of the bucket.

    :param name: its key without the prefix.
    """

    name: str
    body: bytes

    @property
    def key(self) -> str:
        """The key in the bucket."""
        return PREFIX + self.name


def make_images() -> Iterator[StoredImage]:
    """Make the twelve objects one by one; the same bytes each time."""
    for name, make in _PHOTOGRAPHS.items():
        yield StoredImage(name, make())
    yield StoredImage("coffee (copy).webp", _as_webp("coffee.png"))
    rocket = _original("rocket.jpg")
    yield StoredImage("cut-off.jpg", rocket[: len(rocket) // 2])
    yield StoredImage("empty.jpg", b"")
    yield StoredImage("notes.jpg", b"Monday: the coffee picture looks best.\nThis is a text file, whatever its name.\n")


def _original(name: str) -> bytes:
    return (_folder() / name).read_bytes()


def _as_jpeg(name: str) -> bytes:
    return _encoded(_opened(name), "JPEG", quality=92)


def _as_webp(name: str) -> bytes:
    return _encoded(_opened(name), "WEBP", quality=90)


def _as_large_png(name: str) -> bytes:
    image = _opened(name)
    height = round(image.height * _LARGE / image.width)
    return _encoded(image.resize((_LARGE, height), Image.Resampling.BICUBIC), "PNG", compress_level=1)


def _opened(name: str) -> Image.Image:
    return Image.open(io.BytesIO(_original(name)))


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    body = io.BytesIO()
    image.save(body, kind, **options)
    return body.getvalue()


def _folder() -> Path:
    """Find the photographs without importing scikit-image, which takes a second and might want to download."""
    found = importlib.util.find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("scikit-image is not installed")
    return Path(found.submodule_search_locations[0]) / "data"


_PHOTOGRAPHS: Final[dict[str, Callable[[], bytes]]] = {
    "astronaut.png": lambda: _original("astronaut.png"),
    "camera.jpg": lambda: _as_jpeg("camera.png"),
    "cat.jpg": lambda: _as_jpeg("chelsea.png"),
    "coffee.webp": lambda: _as_webp("coffee.png"),
    "galaxies.jpg": lambda: _original("hubble_deep_field.jpg"),
    "moon.png": lambda: _original("moon.png"),
    "motorcycle, large.png": lambda: _as_large_png("motorcycle_left.png"),
    "rocket.jpg": lambda: _original("rocket.jpg"),
}
