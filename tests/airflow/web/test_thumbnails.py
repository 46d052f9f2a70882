"""Pictures for people: small, bare, and never made of more than an API server can bear."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from airflow_midjourney.describe.imaging.prepare import shrink
from airflow_midjourney.describe.model.errors import ImageRejectedError
from airflow_midjourney.web import pictures
from tests.support.image_files import PRIVATE, UPRIGHT, URI, corners, encode, noise, picture, talkative


def small(body: bytes, most_pixels: int = pictures.MOST_PIXELS, most_bytes: int = 400_000) -> bytes:
    return shrink(body, image_uri=URI, most_pixels=most_pixels, most_pixels_a_side=100, most_bytes=most_bytes)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
def test_every_format_becomes_a_small_jpeg_with_nothing_but_pixels(image_format: str) -> None:
    made = small(talkative(image_format, (300, 200)))

    shown = Image.open(io.BytesIO(made))
    assert (shown.format, shown.size) == ("JPEG", (100, 67))
    assert corners(shown) == UPRIGHT
    assert PRIVATE.encode() not in made
    assert not shown.getexif()


def test_its_bytes_are_bounded() -> None:
    assert len(small(encode(noise((400, 400)), "PNG"), most_bytes=4000)) <= 4000


@pytest.mark.parametrize(
    ("body", "reason"), [(b"", "empty"), (b"words", "unsupported_format"), (encode(picture(), "PNG")[:60], "corrupt")]
)
def test_what_is_no_image_is_rejected_with_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(ImageRejectedError) as caught:
        small(body)

    assert (caught.value.reason, caught.value.image_uri) == (reason, URI)


def test_an_image_with_too_many_pixels_is_rejected_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    body = encode(picture((60, 40)), "PNG")
    decoded: list[object] = []
    monkeypatch.setattr("airflow_midjourney.describe.imaging.prepare.to_small_jpeg", lambda *a, **_: decoded.append(a))

    with pytest.raises(ImageRejectedError) as caught:
        small(body, most_pixels=2399)

    assert (caught.value.reason, decoded) == ("too_large", [])
