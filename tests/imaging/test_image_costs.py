"""No image takes more than 400 MB of memory or 5 seconds of processor time, whatever its bytes claim."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
import pillow_heif
import pytest
from PIL import Image

from airflow_midjourney.describe.imaging.limits import MOST_SCANS
from tests.support.image_files import encode, picture, png_chunk

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "fixtures" / "cases"

#: What a child process prepares, and what that takes beside what a small image takes.
MEASURE = """
import json, sys, time
sys.path[:0] = ["plugins", "."]
from airflow_midjourney.describe.imaging.prepare import prepare
from airflow_midjourney.describe.model.errors import ImageRejectedError

def most_memory():
    # getrusage() gives what the process had that started this one, if that was more.
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(status["VmHWM"].split()[0])

small = open("tests/fixtures/cases/img01_png_icc_bad_exif_text.png", "rb").read()
prepare(small, image_uri="s3://a/b")
before = most_memory()
body = open(sys.argv[1], "rb").read()
began = time.process_time()
try:
    prepare(body, image_uri="s3://a/b")
    result = "sent"
except ImageRejectedError as error:
    result = error.reason
taken = most_memory() - before
print(json.dumps({"result": result, "megabytes": taken * 1024 / 1e6, "seconds": time.process_time() - began}))
"""


def of_one_colour(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    return Image.new(mode, size)


def many_scans(scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    body = encode(picture((1500, 1500)), "JPEG", progressive=True)
    last = body.rindex(b"\xff\xda")
    return body[:last] + body[last:-2] * scans + body[-2:]


def bomb_of_png(bytes_of_pixels: int) -> bytes:
    """A PNG of one pixel whose data unpacks to much more."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(bytes(bytes_of_pixels), 9))
    return b"\x89PNG\r\n\x1a\n" + head + data + png_chunk(b"IEND", b"")


def bomb_of_profile() -> bytes:
    body = encode(picture(), "PNG")
    return body[:33] + png_chunk(b"iCCP", b"x\x00\x00" + zlib.compress(bytes(300_000_000), 9)) + body[33:]


def heic(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(of_one_colour(size)).save(buffer)
    return buffer.getvalue()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "webp of 100 megapixels in 38 bytes": lambda: (CASES / "img25_webp_of_100_megapixels.webp").read_bytes(),
    "webp as large as may be": lambda: encode(of_one_colour((5000, 3800), "RGBA"), "WEBP", lossless=True, method=0),
    "jpeg of 3,000 scans": lambda: (CASES / "img26_jpeg_of_3000_scans.jpg").read_bytes(),
    "jpeg of nearly as many scans as may be": lambda: many_scans(MOST_SCANS - 50),
    "progressive jpeg as large as may be": lambda: encode(
        of_one_colour((6400, 6400)), "JPEG", progressive=True, subsampling=0
    ),
    "baseline jpeg of 100 megapixels": lambda: encode(of_one_colour((9990, 9990)), "JPEG"),
    "png as large as may be": lambda: encode(of_one_colour((8350, 8350), "RGBA"), "PNG", compress_level=1),
    "grey png with transparency as large as may be": lambda: encode(
        of_one_colour((8350, 8350), "LA"), "PNG", compress_level=1
    ),
    "png with one transparent colour, a bit larger than may be": lambda: encode(
        of_one_colour((8600, 8600)), "PNG", compress_level=1, transparency=(0, 0, 0)
    ),
    "png without transparency as large as may be": lambda: encode(of_one_colour((8600, 8600)), "PNG", compress_level=1),
    "png of 100 megapixels": lambda: encode(of_one_colour((9990, 9990)), "PNG", compress_level=1),
    "png whose data is a bomb": lambda: bomb_of_png(500_000_000),
    "png whose profile is a bomb": bomb_of_profile,
    "palette of 100 megapixels": lambda: encode(of_one_colour((9990, 9990), "P"), "PNG", transparency=0),
    "grey of 16 bits": lambda: encode(Image.fromarray(numpy.zeros((9990, 9990), numpy.uint16)), "PNG"),
    "gif of 100 megapixels": lambda: encode(of_one_colour((9990, 9990), "L"), "GIF", transparency=0),
    "floats": lambda: encode(Image.fromarray(numpy.zeros((7600, 7600), numpy.float32)), "TIFF", compression="tiff_lzw"),
    "avif as large as may be": lambda: encode(of_one_colour((5500, 5500), "RGBA"), "AVIF", speed=10),
    "heic as phones of 48 megapixels write it": lambda: heic((8064, 6048)),
}


#: What cameras, phones and scanners write has to be sent.
USUAL = {
    "baseline jpeg of 100 megapixels",
    "grey of 16 bits",
    "heic as phones of 48 megapixels write it",
    "palette of 100 megapixels",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_image_keeps_within_its_bounds(name: str, tmp_path: Path) -> None:
    file = tmp_path / "image"
    file.write_bytes(HOSTILE[name]())

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURE, str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    assert found["megabytes"] < 400
    assert found["seconds"] < 5
    assert found["result"] == "sent" or name not in USUAL
