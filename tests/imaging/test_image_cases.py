"""Pictures of strangers: broken metadata, missing ends, and pixels that their file describes in its own way."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import pillow_heif
import pytest
from PIL import Image, ImageStat, TiffImagePlugin

from airflow_midjourney.describe.imaging.prepare import prepare
from airflow_midjourney.describe.model.errors import ImageRejectedError
from tests.support.image_files import URI, corners, encode, heic, picture, png_chunk, sent_bytes, sent_image

if TYPE_CHECKING:
    from airflow_midjourney.describe.imaging.prepare import PreparedImage

CASES = Path(__file__).parents[1] / "fixtures" / "cases"
EXPECTED = json.loads((CASES / "images.expected.json").read_text(encoding="utf-8"))

GARBAGE = b"\xde\xad\xbe\xef" * 9
PLAIN = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)]


def prepared(body: bytes) -> PreparedImage:
    return prepare(body, image_uri=URI)


def mean(found: PreparedImage) -> list[float]:
    return ImageStat.Stat(sent_image(found).convert("RGB")).mean


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_cases(name: str) -> None:
    media_type, width, height, colour = EXPECTED[name]

    found = prepared((CASES / name).read_bytes())

    assert (found.media_type, found.width, found.height) == (media_type, width, height)
    if colour is None:
        extremes = sent_image(found).convert("RGB").getextrema()
        assert all(high - low > 100 for low, high in extremes)
    else:
        assert mean(found) == pytest.approx(colour, abs=4)


def png(*chunks: bytes) -> bytes:
    """A PNG with chunks before its pixels."""
    body = encode(picture(), "PNG")
    return body[:33] + b"".join(chunks) + body[33:]


def jpeg(*segments: tuple[int, bytes], **options: Any) -> bytes:
    """A JPEG with segments behind its first two bytes."""
    body = encode(picture((64, 48)), "JPEG", quality=95, subsampling=0, **options)
    extra = b"".join(b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data for marker, data in segments)
    return body[:2] + extra + body[2:]


def webp(chunks: list[tuple[bytes, bytes]], flags: int, **options: Any) -> bytes:
    """An extended WebP with chunks behind its pixels."""
    body = encode(picture(), "WEBP", lossless=True, **options)
    head = (
        b"VP8X"
        + struct.pack("<I", 10)
        + bytes([flags])
        + bytes(3)
        + (59).to_bytes(3, "little")
        + (39).to_bytes(3, "little")
    )
    first = b"" if body[12:16] == b"VP8X" else head
    content = body[12:]
    if not first:
        content = content[:8] + bytes([content[8] | flags]) + content[9:]
    for kind, data in chunks:
        content += kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    content = b"WEBP" + first + content
    return b"RIFF" + struct.pack("<I", len(content)) + content


def profile_of(size: int) -> bytes:
    """An iCCP chunk whose profile has so many bytes."""
    return png_chunk(b"iCCP", b"big\x00\x00" + zlib.compress(bytes(size)))


def packed_text(kind: bytes, before: bytes, size: int) -> bytes:
    """A chunk with a text that has so many bytes when it is unpacked."""
    return png_chunk(kind, before + zlib.compress(bytes(size)))


def avif_with_exif_of_garbage() -> bytes:
    empty = b"II*\x00\x08\x00\x00\x00\x00\x00"
    body = encode(picture((64, 48)), "AVIF", exif=empty, quality=95)
    assert empty in body
    return body.replace(empty, GARBAGE[:10])


def animated(image_format: str, **options: Any) -> bytes:
    return encode(
        picture(), image_format, save_all=True, append_images=[Image.new("RGB", (60, 40), "black")], **options
    )


def with_chunk(body: bytes, kind: bytes, data: bytes) -> bytes:
    return body[:33] + png_chunk(kind, data) + body[33:]


METADATA = {
    "png: exif of garbage": png(png_chunk(b"eXIf", GARBAGE)),
    "png: a text of two megabytes": png(png_chunk(b"tEXt", b"Comment\x00" + b"x" * 2_000_000)),
    "png: a packed text of five megabytes": png(
        png_chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(bytes(5_000_000)))
    ),
    "png: many packed texts": png(
        *[png_chunk(b"zTXt", b"C%d\x00\x00" % n + zlib.compress(bytes(900_000))) for n in range(90)]
    ),
    "png: an international text that is packed badly": png(png_chunk(b"iTXt", b"XML\x00\x01\x00\x00\x00" + GARBAGE)),
    "png: raw exif in a text that is no hex": png(png_chunk(b"tEXt", b"Raw profile type exif\x00\nexif\n  9\nzz!")),
    "png: a profile that is packed badly": png(png_chunk(b"iCCP", b"bad\x00\x00" + GARBAGE)),
    "png: a profile of four megabytes": png(profile_of(4_000_000)),
    "png: a small profile of garbage and bad exif": png(profile_of(3000), png_chunk(b"eXIf", GARBAGE)),
    "png: a gamma with a wrong checksum": png(png_chunk(b"gAMA", struct.pack(">I", 45455))[:-4] + b"\x00\x00\x00\x01"),
    "png: a text with a wrong checksum": png(png_chunk(b"tEXt", b"Comment\x00x")[:-1] + b"\xff"),
    "png: a transparent colour cut off": png(png_chunk(b"tRNS", b"\x00\x00")),
    "png: a gamma, primaries and an intent that are empty": png(
        *(png_chunk(kind, b"") for kind in (b"gAMA", b"cHRM", b"sRGB"))
    ),
    "apng: exif of garbage": with_chunk(animated("PNG"), b"eXIf", GARBAGE),
    "jpeg: exif of garbage": jpeg((0xE1, b"Exif\x00\x00" + GARBAGE)),
    "jpeg: exif whose table points behind it": jpeg((0xE1, b"Exif\x00\x00II*\x00\xff\xff\xff\x7f")),
    "jpeg: exif that is empty": jpeg((0xE1, b"Exif\x00\x00")),
    "jpeg: xmp of garbage": jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta" + GARBAGE)),
    "jpeg: photoshop resources cut off": jpeg((0xED, b"Photoshop 3.0\x008BIM\x04\x04\x00\x00\xff\xff\xff\xff")),
    "jpeg: a profile in pieces, one missing": jpeg((0xE2, b"ICC_PROFILE\x00\x02\x03" + GARBAGE)),
    "jpeg: pictures of a phone that are not there": jpeg((0xE2, b"MPF\x00II*\x00\x08\x00\x00\x00" + GARBAGE)),
    "webp: exif of garbage": webp([(b"EXIF", GARBAGE)], 8),
    "webp: xmp of garbage": webp([(b"XMP ", GARBAGE)], 4),
    "webp: exif and a profile of garbage": webp([(b"ICCP", GARBAGE), (b"EXIF", GARBAGE)], 8 | 32),
    "webp: animated, with exif of garbage": webp([(b"EXIF", GARBAGE)], 8, save_all=True, append_images=[picture()]),
    "avif: exif of garbage": avif_with_exif_of_garbage(),
    "gif: a comment of a megabyte": encode(picture(), "GIF", comment=b"x" * 1_000_000),
}


@pytest.mark.parametrize("name", METADATA)
def test_broken_metadata_never_costs_the_image(name: str) -> None:
    found = prepared(METADATA[name])

    assert corners(sent_image(found)) == PLAIN
    assert GARBAGE not in sent_bytes(found)


def test_broken_exif_of_a_phone_costs_the_turn_and_not_the_image() -> None:
    marker = b"II*\x00" + b"\x11" * 40
    image = pillow_heif.from_pillow(picture((64, 48)))
    image.info["exif"] = marker
    buffer = io.BytesIO()
    image.save(buffer, quality=95)
    assert marker in buffer.getvalue()

    found = prepared(buffer.getvalue().replace(marker, b"\xff" * len(marker)))

    assert corners(sent_image(found)) == PLAIN


def progressive() -> bytes:
    return jpeg(progressive=True)


ENDS = {
    "jpeg": jpeg()[:-2],
    "jpeg: half of the marker": jpeg()[:-1],
    "jpeg: progressive": progressive()[:-2],
    "jpeg: exif of garbage, too": jpeg((0xE1, b"Exif\x00\x00" + GARBAGE))[:-2],
    "jpeg: zeros in its place": jpeg()[:-2] + bytes(512),
    "png": encode(picture(), "PNG")[:-12],
    "png: half of the chunk": encode(picture(), "PNG")[:-5],
    "png: text of two megabytes, too": METADATA["png: a text of two megabytes"][:-12],
    "gif": encode(picture(), "GIF")[:-1],
    "gif: animated": animated("GIF")[:-1],
    "webp: a length of too many bytes": b"RIFF\xff\xff\x00\x00" + encode(picture(), "WEBP", lossless=True)[8:],
    "webp: a length of too few bytes": b"RIFF\x10\x00\x00\x00" + encode(picture(), "WEBP", lossless=True)[8:],
}


@pytest.mark.parametrize("name", ENDS)
def test_a_missing_end_is_no_damage_while_all_pixels_are_there(name: str) -> None:
    assert corners(sent_image(prepared(ENDS[name]))) == PLAIN


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("kind", ["jpeg", "progressive", "png", "webp", "gif"])
def test_missing_pixels_are_damage(kind: str, share: float) -> None:
    noise = Image.effect_noise((96, 96), 90).convert("RGB")
    body = {
        "jpeg": lambda: encode(noise, "JPEG", quality=95),
        "progressive": lambda: encode(noise, "JPEG", quality=95, progressive=True),
        "png": lambda: encode(noise, "PNG"),
        "webp": lambda: encode(noise, "WEBP", lossless=True),
        "gif": lambda: encode(noise, "GIF"),
    }[kind]()

    with pytest.raises(ImageRejectedError) as rejected:
        prepared(body[: int(len(body) * share)])

    assert rejected.value.reason == "corrupt"


def tiff(pixels: Any, mode: str | None = None, **tags: int) -> bytes:
    """A TIFF of these values with further tags by number."""
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for number, value in tags.items():
        directory[int(number.removeprefix("t"))] = value
    return encode(Image.fromarray(pixels, mode) if mode else Image.fromarray(pixels), "TIFF", tiffinfo=directory)


def ramp(top: int, kind: Any = numpy.uint16) -> Any:
    return numpy.tile(numpy.linspace(0, top, 64).astype(kind), (48, 1))


def plain_tiff(pixels: Any, sample_format: int = 1) -> bytes:
    """A TIFF of one strip, written by hand: Pillow has no mode for numbers of 32 bits without a sign."""
    height, width = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    tags = {256: width, 257: height, 258: 32, 259: 1, 262: 1, 277: 1, 278: height, 279: len(data), 339: sample_format}
    tags[273] = 8 + 2 + 12 * (len(tags) + 1) + 4
    entries = b"".join(struct.pack("<HHII", number, 4, 1, tags[number]) for number in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + data


WIDE = {
    "10 bits": (tiff(ramp(1023), t281=1023), False),
    "12 bits": (tiff(ramp(4095), t281=4095), False),
    "12 bits that nothing tells": (tiff(ramp(4095)), False),
    "14 bits": (tiff(ramp(16383), t281=16383), False),
    "14 bits, signed tag": (tiff(ramp(16383), t341=16383), False),
    "16 bits": (tiff(ramp(65535)), False),
    "16 bits, white is zero": (tiff(ramp(65535), t262=0), True),
    "14 bits, white is zero": (tiff(ramp(16383), t262=0, t281=16383), True),
    # Pillow turns the values round as it writes them, so the picture is the same.
    "8 bits, white is zero": (tiff(ramp(255, numpy.uint8), t262=0), False),
    "floats": (tiff(ramp(1, numpy.float32)), False),
    "32 bits": (plain_tiff(ramp(2**32 - 1, numpy.uint32)), False),
    "31 of 32 bits": (plain_tiff(ramp(2**31 - 1, numpy.uint32)), False),
    "32 bits with a sign": (plain_tiff(ramp(2**31 - 1, numpy.int32), sample_format=2), False),
}


@pytest.mark.parametrize("name", WIDE)
def test_wide_pixels_have_their_brightness(name: str) -> None:
    body, inverted = WIDE[name]

    image = sent_image(prepared(body)).convert("L")

    assert ImageStat.Stat(image).mean[0] == pytest.approx(127, abs=5)
    left, right = image.getpixel((1, 20)), image.getpixel((62, 20))
    assert (left > right) == inverted
    assert abs(left - right) > 220


def bitmap(alpha: int, header: int) -> bytes:
    """A bitmap of 32 bits with this alpha in every pixel, and a header of 108 (V4) or 124 (V5) bytes."""
    pixels = picture((60, 40)).convert("RGBA")
    pixels.putalpha(alpha)
    data = pixels.transpose(Image.Transpose.FLIP_TOP_BOTTOM).tobytes("raw", "BGRA")
    info = struct.pack("<IiiHHIIiiII", header, 60, 40, 1, 32, 3, len(data), 2835, 2835, 0, 0)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = (info + masks).ljust(header, b"\x00")
    return b"BM" + struct.pack("<IHHI", 14 + len(info) + len(data), 0, 0, 14 + len(info)) + info + data


@pytest.mark.parametrize("header", [108, 124])
@pytest.mark.parametrize("alpha", [0, 255])
def test_a_bitmap_with_an_empty_alpha_is_opaque(header: int, alpha: int) -> None:
    assert corners(sent_image(prepared(bitmap(alpha, header)))) == PLAIN


def test_a_bitmap_with_an_alpha_of_its_own_keeps_it() -> None:
    pale = mean(prepared(bitmap(64, 124)))

    assert min(pale) > 180


def line_art(mode: str, size: tuple[int, int], ink: str) -> Image.Image:
    drawing = Image.new("RGBA", size, (255, 255, 255, 0))
    drawing.paste(ink, (size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2))
    return drawing.convert(mode) if mode != "P" else drawing.quantize(8)


@pytest.mark.parametrize(
    ("mode", "image_format"), [("RGBA", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF")]
)
@pytest.mark.parametrize("ink", ["white", "#fdfdfd", "black", "red"])
def test_a_drawing_on_transparency_never_vanishes(mode: str, image_format: str, ink: str) -> None:
    options = {"lossless": True} if image_format == "WEBP" else {}

    image = sent_image(prepared(encode(line_art(mode, (2400, 300), ink), image_format, **options))).convert("L")

    low, high = image.getextrema()
    assert high - low > 60  # type: ignore[operator]


@pytest.mark.parametrize(
    ("mode", "image_format"), [("RGBA", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGBA", "WEBP"), ("RGBA", "GIF")]
)
@pytest.mark.parametrize(("ink", "vanishes"), [("white", True), ("#fdfdfd", True), ("black", False)])
def test_a_small_drawing_that_white_would_swallow_is_not_sent_as_it_is(
    mode: str, image_format: str, ink: str, vanishes: bool
) -> None:
    options = {"lossless": True} if image_format == "WEBP" else {}

    found = prepared(encode(line_art(mode, (240, 120), ink), image_format, **options))

    assert (found.sent_media_type == "image/jpeg") == vanishes
    low, high = sent_image(found).convert("RGBA").convert("L").getextrema()
    assert not vanishes or high - low > 60  # type: ignore[operator]


def test_a_drawing_that_shows_on_white_is_laid_on_white() -> None:
    image = sent_image(prepared(encode(line_art("RGBA", (2400, 300), "red"), "PNG"))).convert("RGB")

    assert min(image.getpixel((3, 3))) > 250  # type: ignore[type-var]


def gif_with_frame(box: tuple[int, int, int, int], size: tuple[int, int]) -> bytes:
    """An animated GIF whose first frame is a red box on its canvas."""
    body = bytearray(encode(Image.new("P", (box[2] - box[0], box[3] - box[1])), "GIF"))
    red = Image.new("P", (box[2] - box[0], box[3] - box[1]))
    red.putpalette([255, 0, 0] + [0, 0, 0] * 255)
    body = bytearray(encode(red, "GIF", save_all=True, append_images=[Image.new("P", red.size, 1)]))
    body[6:10] = struct.pack("<HH", *size)
    place = body.index(b"\x2c" + bytes(4) + struct.pack("<HH", *red.size))
    body[place + 1 : place + 5] = struct.pack("<HH", box[0], box[1])
    return bytes(body)


@pytest.mark.parametrize("box", [(0, 0, 16, 16), (20, 8, 36, 24), (32, 32, 48, 48)])
def test_a_first_frame_smaller_than_its_screen_leaves_the_rest_white(box: tuple[int, int, int, int]) -> None:
    found = prepared(gif_with_frame(box, (48, 48)))

    assert (found.width, found.height) == (48, 48)
    image = sent_image(found).convert("RGB")
    red = 16 * 16 / (48 * 48)
    assert ImageStat.Stat(image).mean == pytest.approx([255, 255 * (1 - red), 255 * (1 - red)], abs=6)
    assert image.getpixel(((box[0] + box[2]) // 2, (box[1] + box[3]) // 2))[1] < 60  # type: ignore[index]


def jpeg_of_another_frame(marker: int, precision: int = 8) -> bytes:
    body = bytearray(jpeg())
    place = body.index(b"\xff\xc0")
    body[place + 1], body[place + 4] = marker, precision
    return bytes(body)


def bitmap_of_another_kind() -> bytes:
    body = bytearray(encode(picture(), "BMP"))
    body[30:34] = (4).to_bytes(4, "little")
    return bytes(body)


UNKNOWN = {
    "jpeg: lossless": jpeg_of_another_frame(0xC3),
    "jpeg: arithmetic and hierarchical": jpeg_of_another_frame(0xCD),
    "jpeg: 12 bits": jpeg_of_another_frame(0xC1, 12),
    "bmp: a jpeg inside": bitmap_of_another_kind(),
    "tiff: 13 bits": encode(Image.fromarray(ramp(1023)), "TIFF").replace(
        struct.pack("<HHIHH", 258, 3, 1, 16, 0), struct.pack("<HHIHH", 258, 3, 1, 13, 0)
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_whole_file_of_an_unknown_kind_is_unsupported_and_not_damaged(name: str) -> None:
    with pytest.raises(ImageRejectedError) as rejected:
        prepared(UNKNOWN[name])

    assert rejected.value.reason == "unsupported_format"
    assert "Save it anew" in str(rejected.value)


def test_the_same_kind_cut_off_is_damaged() -> None:
    with pytest.raises(ImageRejectedError) as rejected:
        prepared(UNKNOWN["tiff: 13 bits"][:-300])

    assert rejected.value.reason == "corrupt"


def test_heic_of_a_phone_is_still_read() -> None:
    assert corners(sent_image(prepared(heic(picture((64, 48)))))) == PLAIN
