from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from airflow_midjourney.describe.imaging.metadata import pixels_only
from tests.support.image_files import encode, png_chunk

MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}


def picture(mode: str = "RGB") -> Image.Image:
    red, green = Image.linear_gradient("L").resize((48, 32)), Image.radial_gradient("L").resize((48, 32))
    return Image.merge("RGB", (red, green, red)).convert(mode)


def pixels(body: bytes) -> tuple[str, bytes]:
    with Image.open(io.BytesIO(body)) as image:
        return image.mode, image.tobytes()


CLEAN = {
    "png": ("PNG", encode(picture(), "PNG")),
    "palette png": ("PNG", encode(picture("P"), "PNG", transparency=1)),
    "jpeg": ("JPEG", encode(picture(), "JPEG")),
    "progressive jpeg": ("JPEG", encode(picture(), "JPEG", progressive=True)),
    "jpeg with restarts": ("JPEG", encode(picture(), "JPEG", restart_marker_blocks=2)),
    "cmyk jpeg": ("JPEG", encode(picture("CMYK"), "JPEG")),
    "grey jpeg": ("JPEG", encode(picture("L"), "JPEG")),
    "gif": ("GIF", encode(picture("P"), "GIF")),
    "transparent gif": ("GIF", encode(picture("P"), "GIF", transparency=1)),
    "webp": ("WEBP", encode(picture(), "WEBP")),
    "lossless webp": ("WEBP", encode(picture(), "WEBP", lossless=True)),
    "webp with alpha": ("WEBP", encode(picture("RGBA"), "WEBP")),
}


@pytest.mark.parametrize("name", CLEAN)
def test_a_file_without_anything_else_stays_as_it_is(name: str) -> None:
    image_format, body = CLEAN[name]
    assert pixels_only(body, MEDIA_TYPES[image_format]) == body


@pytest.mark.parametrize("name", CLEAN)
def test_what_follows_the_image_is_dropped(name: str) -> None:
    image_format, body = CLEAN[name]
    assert pixels_only(body + b"GPS 52.5 13.4" * 9, MEDIA_TYPES[image_format]) == body


@pytest.mark.parametrize("name", CLEAN)
def test_a_file_that_ends_early_is_left_to_others(name: str) -> None:
    image_format, body = CLEAN[name]
    assert pixels_only(body[: len(body) * 2 // 3], MEDIA_TYPES[image_format]) is None


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME", b"pHYs", b"prVt"])
def test_png_chunks_beside_the_pixels_are_dropped(kind: bytes) -> None:
    _, body = CLEAN["png"]
    early = body[:33] + png_chunk(kind, b"private") + body[33:]
    late = body[:-12] + png_chunk(kind, b"private") + body[-12:]
    assert pixels_only(early, "image/png") == body
    assert pixels_only(late, "image/png") == body


@pytest.mark.parametrize(
    ("kind", "data"),
    [(b"iCCP", b"profile"), (b"QQQQ", b"critical"), (b"gAMA", b"longer than a gamma"), (b"IEND", b"x")],
)
def test_png_chunks_that_cannot_be_judged_give_up(kind: bytes, data: bytes) -> None:
    _, body = CLEAN["png"]
    assert pixels_only(body[:33] + png_chunk(kind, data) + body[33:], "image/png") is None


@pytest.mark.parametrize("name", [name for name in CLEAN if "jpeg" in name])
@pytest.mark.parametrize("marker", [0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xEF, 0xFE])
def test_jpeg_segments_beside_the_pixels_are_dropped(name: str, marker: int) -> None:
    _, body = CLEAN[name]
    extra = bytes([0xFF, marker]) + struct.pack(">H", 9) + b"private"
    last_scan = body.rindex(b"\xff\xda")
    for position in (2, last_scan):
        with_extra = body[:position] + extra + body[position:]
        assert pixels(with_extra) == pixels(body)
        assert pixels_only(with_extra, "image/jpeg") == body


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe2\x00\x15ICC_PROFILE\x00\x01\x01xxxxx",
        b"\xff\xe0\x00\x15JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x01\x01rgbrg",
        b"\xff\xee\x00\x13Adobe\x00\x64\x00\x00\x00\x00\x01more.",
        b"\xff\x01\x00\x04xx",
        b"\xff\xfe\x00\x01",
    ],
)
def test_jpeg_segments_that_cannot_be_judged_give_up(segment: bytes) -> None:
    _, body = CLEAN["jpeg"]
    assert pixels_only(body[:2] + segment + body[2:], "image/jpeg") is None


def test_gif_comments_and_application_data_are_dropped() -> None:
    _, body = CLEAN["gif"]
    talkative = encode(picture("P"), "GIF", comment=b"private " * 60, loop=0)
    cleaned = pixels_only(talkative, "image/gif")
    assert cleaned is not None
    assert b"private" not in cleaned
    assert b"NETSCAPE" not in cleaned
    assert pixels(cleaned) == pixels(body)


def test_webp_exif_and_xmp_are_dropped() -> None:
    exif = Image.Exif()
    exif[0x010E] = "private"
    body = encode(picture("RGBA"), "WEBP", exif=exif, xmp=b"private too")
    cleaned = pixels_only(body, "image/webp")
    assert cleaned is not None
    assert b"private" not in cleaned
    assert pixels(cleaned) == pixels(body)
    with Image.open(io.BytesIO(cleaned)) as image:
        assert not {"exif", "xmp"} & image.info.keys()


@pytest.mark.parametrize("image_format", ["GIF", "WEBP"])
def test_animations_give_up(image_format: str) -> None:
    frames = [picture().rotate(angle) for angle in (0, 90)]
    body = encode(frames[0], image_format, save_all=True, append_images=frames[1:])
    assert pixels_only(body, MEDIA_TYPES[image_format]) is None


def test_webp_with_a_profile_gives_up() -> None:
    assert pixels_only(encode(picture(), "WEBP", icc_profile=b"profile"), "image/webp") is None


def test_other_media_types_give_up() -> None:
    assert pixels_only(encode(picture(), "BMP"), "image/bmp") is None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_bytes_make_it_raise(data: st.DataObject) -> None:
    image_format, body = CLEAN[data.draw(st.sampled_from(sorted(CLEAN)))]
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, len(body)))
    damaged = body[:start] + data.draw(st.binary(max_size=20)) + body[end:]
    cleaned = pixels_only(damaged, MEDIA_TYPES[image_format])
    assert cleaned is None or len(cleaned) <= len(damaged)
