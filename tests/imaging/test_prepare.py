from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from airflow_midjourney.describe.imaging import jpeg as jpeg_module
from airflow_midjourney.describe.imaging import prepare as prepare_module
from airflow_midjourney.describe.imaging.prepare import PreparedImage, prepare, reader_fingerprint
from airflow_midjourney.describe.model.errors import ImageRejectedError
from tests.support.image_files import (
    PRIVATE,
    UPRIGHT,
    URI,
    corners,
    encode,
    heic,
    noise,
    picture,
    png_chunk,
    sent_bytes,
    sent_image,
    talkative,
)

PLUGINS = Path(jpeg_module.__file__).parents[3]


def reject(body: bytes, **options: Any) -> ImageRejectedError:
    with pytest.raises(ImageRejectedError) as caught:
        prepare(body, image_uri=URI, **options)
    assert caught.value.image_uri == URI
    return caught.value


def png_header(width: int, height: int) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(b"\0" * 9)) + png_chunk(b"IEND", b"")


# As it is


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_small_clean_images_are_sent_byte_for_byte(image_format: str) -> None:
    body = encode(picture(), image_format)
    prepared = prepare(body, image_uri=URI)
    assert sent_bytes(prepared) == body
    assert prepared.sent_media_type == prepared.media_type == f"image/{image_format.lower()}"
    assert (prepared.width, prepared.height) == (60, 40)
    assert prepared.content_sha256 == hashlib.sha256(body).hexdigest()


def test_one_pixel_is_an_image() -> None:
    prepared = prepare(encode(Image.new("RGB", (1, 1)), "PNG"), image_uri=URI)
    assert (prepared.width, prepared.height) == (1, 1)


def test_the_largest_that_is_sent_as_it_is() -> None:
    at_limit = encode(Image.new("RGB", (2048, 2048)), "PNG")
    assert sent_bytes(prepare(at_limit, image_uri=URI)) == at_limit
    wider = prepare(encode(Image.new("RGB", (2049, 1)), "PNG"), image_uri=URI)
    assert wider.sent_media_type == "image/jpeg"
    assert sent_image(wider).size == (2048, 1)
    assert (wider.width, wider.height) == (2049, 1)


def test_the_data_uri_stays_out_of_logs() -> None:
    assert "base64" not in repr(prepare(encode(picture(), "PNG"), image_uri=URI))


# Privacy


@pytest.mark.parametrize("size", [(60, 40), (2100, 40)])
@pytest.mark.parametrize("orientation", [1, 3])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_metadata_never_leaves(image_format: str, orientation: int, size: tuple[int, int]) -> None:
    original = talkative(image_format, size, orientation)
    assert PRIVATE.encode() in original
    body = sent_bytes(prepare(original, image_uri=URI))
    assert PRIVATE.encode() not in body
    sent = Image.open(io.BytesIO(body))
    sent.load()
    assert not sent.getexif()
    assert not sent.getexif().get_ifd(0x8825)
    assert not {"exif", "xmp", "comment", "parameters", "zipped", "icc_profile"} & sent.info.keys()


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_stripping_small_images_leaves_their_pixels_alone(image_format: str) -> None:
    body = talkative(image_format, (60, 40))
    prepared = prepare(body, image_uri=URI)
    assert prepared.sent_media_type == f"image/{image_format.lower()}"
    before, after = Image.open(io.BytesIO(body)).convert("RGB"), sent_image(prepared).convert("RGB")
    assert ImageChops.difference(before, after).getbbox() is None
    assert prepared.content_sha256 == hashlib.sha256(body).hexdigest()


def test_stripping_can_be_left_out() -> None:
    body = talkative("JPEG", (60, 40))
    assert sent_bytes(prepare(body, image_uri=URI, strip_metadata=False)) == body
    converted = prepare(talkative("JPEG", (2100, 40)), image_uri=URI, strip_metadata=False)
    assert PRIVATE.encode() not in sent_bytes(converted)


def test_an_image_made_heavy_by_its_metadata_is_not_recompressed() -> None:
    clean = encode(picture(), "JPEG")
    prepared = prepare(clean + b"video " * 500_000, image_uri=URI)
    assert sent_bytes(prepared) == clean


def test_metadata_that_cannot_be_read_does_not_cost_the_image() -> None:
    clean = encode(picture(), "PNG")
    bomb = png_chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"x" * 3_000_000))
    for position in (33, len(clean) - 12):
        prepared = prepare(clean[:position] + bomb + clean[position:], image_uri=URI)
        assert sent_bytes(prepared) == clean
    broken = b"\xff\xe1\x00\x12Exif\0\0II*\0\xff\xff\xff\xff"
    jpeg = encode(picture(), "JPEG")
    assert corners(sent_image(prepare(jpeg[:2] + broken + jpeg[2:], image_uri=URI))) == UPRIGHT


# Rejected


def test_nothing_is_empty() -> None:
    assert reject(b"").reason == "empty"


@pytest.mark.parametrize(
    "body",
    [
        b"hello, I am a text that is called photo.jpg",
        b"BMW is a maker of cars",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
        b"\xc5\xd0\xd3\xc6" + b"\0" * 40,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?><svg/>",
        b"%PDF-1.7",
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        b"\0",
        b"\xff\xd8",
        b"GIF",
    ],
)
def test_other_content_is_not_opened(body: bytes) -> None:
    error = reject(body)
    assert error.reason == "unsupported_format"
    assert "PNG, JPEG" in str(error)


@pytest.mark.parametrize("image_format", ["EPS", "PDF", "PPM", "TGA", "ICO", "JPEG2000", "PSD", "DDS"])
def test_formats_that_pillow_knows_but_nobody_listed_are_not_opened(image_format: str) -> None:
    body = b"8BPS\0\1" + b"\0" * 60 if image_format == "PSD" else encode(picture(), image_format)
    assert reject(body).reason == "unsupported_format"


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"])
def test_truncated_images_are_corrupt(image_format: str) -> None:
    image = noise((64, 64))
    body = heic(image) if image_format == "HEIF" else encode(image, image_format)
    for keep in (len(body) // 2, len(body) * 9 // 10):
        error = reject(body[:keep])
        assert error.reason == "corrupt"
        assert "0x" not in str(error)


def test_large_truncated_jpegs_are_corrupt() -> None:
    body = encode(picture((9000, 5000)), "JPEG")
    assert reject(body[: len(body) * 3 // 4]).reason == "corrupt"


def test_known_first_bytes_alone_are_corrupt() -> None:
    for body in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0 but no image", b"GIF89a", b"II*\0", b"RIFF\0\0\0\0WEBPVP8 "):
        assert reject(body).reason == "corrupt"


@pytest.mark.parametrize("size", [(10_001, 10_000), (60_000, 60_000), (2_147_483_647, 2_147_483_647)])
def test_more_than_100_megapixels_are_refused_before_they_are_decoded(size: tuple[int, int]) -> None:
    # The pixels are not there: had they been looked at first, this would be corrupt.
    assert reject(png_header(*size)).reason == "too_large"


def test_100_megapixels_are_looked_at() -> None:
    assert reject(png_header(10_000, 10_000)).reason == "corrupt"


def test_pillows_own_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert reject(encode(picture(), "PNG")).reason == "too_large"


def test_messages_hold_no_control_characters() -> None:
    body = png_header(1, 1).replace(b"IDAT", b"I\n\x1bT")
    message = str(reject(body))
    assert message.isprintable()


# Strangers' bytes

SAMPLES = [
    *(encode(picture((16, 12)), name) for name in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")),
    encode(picture((16, 12)), "TIFF", compression="tiff_deflate"),
    encode(picture((16, 12)), "JPEG", progressive=True),
    encode(picture((16, 12)), "GIF", save_all=True, append_images=[Image.new("RGB", (16, 12), "red")]),
    talkative("JPEG", (16, 12), 6),
    talkative("PNG", (16, 12), 6),
    talkative("WEBP", (16, 12), 6),
    heic(picture((64, 64))),
]


def outcome(body: bytes) -> PreparedImage | ImageRejectedError:
    try:
        return prepare(body, image_uri=URI)
    except ImageRejectedError as error:
        return error


def check_any(body: bytes) -> None:
    result = outcome(body)
    if isinstance(result, ImageRejectedError):
        assert result.reason in {"empty", "corrupt", "unsupported_format", "too_large"}
        assert str(result).isprintable()
    else:
        assert max(sent_image(result).size) <= 2048


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_images_are_sent_whole_or_rejected(data: st.DataObject) -> None:
    body = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(body) - 1))
        body[position] ^= 1 << data.draw(st.integers(0, 7))
    check_any(bytes(body))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_cut_and_spliced_images_are_sent_whole_or_rejected(data: st.DataObject) -> None:
    one, other = data.draw(st.sampled_from(SAMPLES)), data.draw(st.sampled_from(SAMPLES))
    head = one[: data.draw(st.integers(0, len(one)))]
    check_any(head + other[data.draw(st.integers(0, len(other))) :])


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"MM\0*"]), st.binary())
def test_random_bytes_are_rejected(signature: bytes, noise_bytes: bytes) -> None:
    assert reject(signature + noise_bytes).reason in {"empty", "corrupt", "unsupported_format", "too_large"}


# The process


def run_python(code: str, *arguments: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-c", code, str(PLUGINS), *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


NO_PROCESS = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from airflow_midjourney.describe.model.errors import ImageRejectedError
from airflow_midjourney.describe.imaging.prepare import PreparedImage, prepare

STARTS = ("subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn", "socket.")
started = []
sys.addaudithook(lambda event, _: started.append(event) if event.startswith(STARTS) else None)
count = 0
for path in sorted(Path(sys.argv[2]).iterdir()):
    count += 1
    try:
        prepare(path.read_bytes(), image_uri="s3://b/k")
    except ImageRejectedError:
        pass
assert not started, started
import os
os.system("true")
assert started == ["os.system"]
print(count)
"""


def test_no_image_starts_a_process(tmp_path: Path) -> None:
    eps = encode(picture(), "EPS")
    for number, body in enumerate([*SAMPLES, eps, b"\xc5\xd0\xd3\xc6" + eps, b"%!PS\nshowpage", b"<svg/>"]):
        (tmp_path / f"{number}.jpg").write_bytes(body)
    assert int(run_python(NO_PROCESS, str(tmp_path))) == len(SAMPLES) + 4


WITHOUT_HEIF = """
import sys
sys.path.insert(0, sys.argv[1])
sys.modules["pillow_heif"] = None
from pathlib import Path
from airflow_midjourney.describe.model.errors import ImageRejectedError
from airflow_midjourney.describe.imaging.prepare import PreparedImage, prepare, reader_fingerprint
try:
    prepare(Path(sys.argv[2]).read_bytes(), image_uri="s3://b/k")
except ImageRejectedError as error:
    print(error.reason, "airflow-provider-midjourney[heif]" in str(error), reader_fingerprint())
"""


def test_without_the_extra_heic_is_unsupported_and_the_fingerprint_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(heic(picture()))
    reason, names_the_cure, fingerprint = run_python(WITHOUT_HEIF, str(tmp_path / "a.heic")).split()
    assert (reason, names_the_cure) == ("unsupported_format", "True")
    assert fingerprint != reader_fingerprint()
    assert "heif" in reader_fingerprint()
    assert len(reader_fingerprint()) < 40


def test_heic_support_does_not_change_what_others_can_open() -> None:
    prepare(heic(picture()), image_uri=URI)
    assert "pillow_heif" not in str(Image.OPEN.get("HEIF"))


def test_two_decodes_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    convert = jpeg_module.to_small_jpeg
    lock, pair = threading.Lock(), threading.Barrier(2)
    inside: list[int] = [0]
    seen: list[int] = []

    def watched(image: Image.Image, **limits: int) -> Any:
        with lock:
            inside[0] += 1
            seen.append(inside[0])
        pair.wait(timeout=60)
        small = convert(image, **limits)
        with lock:
            inside[0] -= 1
        return small

    monkeypatch.setattr(prepare_module, "to_small_jpeg", watched)
    body = encode(picture((3000, 3000)), "BMP")
    threads = [threading.Thread(target=prepare, args=(body,), kwargs={"image_uri": URI}) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 6
    assert max(seen) == 2
