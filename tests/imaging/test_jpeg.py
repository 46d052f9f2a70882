from __future__ import annotations

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from airflow_midjourney.describe.imaging.prepare import prepare
from airflow_midjourney.describe.model.errors import ImageRejectedError
from tests.support.image_files import (
    BLUE,
    UPRIGHT,
    URI,
    WHITE,
    corners,
    encode,
    exif_block,
    heic,
    noise,
    picture,
    sent_image,
)


def test_heavy_images_become_small_enough() -> None:
    body = encode(noise((2000, 2000)), "PNG")
    assert len(body) > 2 * 1024 * 1024
    prepared = prepare(body, image_uri=URI)
    assert prepared.sent_media_type == "image/jpeg"
    assert prepared.sent_bytes <= 2 * 1024 * 1024
    assert sent_image(prepared).size == (2000, 2000)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_large_images_are_shrunk_and_remembered_at_their_size(image_format: str) -> None:
    prepared = prepare(encode(picture((5000, 3000)), image_format), image_uri=URI)
    assert (prepared.width, prepared.height) == (5000, 3000)
    sent = sent_image(prepared)
    assert sent.size == (2048, 1229)
    assert corners(sent) == UPRIGHT


FOREIGN = {
    "image/bmp": lambda image: encode(image, "BMP"),
    "image/tiff": lambda image: encode(image, "TIFF", compression="tiff_lzw"),
    "image/avif": lambda image: encode(image, "AVIF", quality=90),
    "image/heif": heic,
}


@pytest.mark.parametrize("media_type", FOREIGN)
def test_other_formats_become_jpeg(media_type: str) -> None:
    prepared = prepare(FOREIGN[media_type](picture()), image_uri=URI)
    assert (prepared.media_type, prepared.sent_media_type) == (media_type, "image/jpeg")
    assert (prepared.width, prepared.height) == (60, 40)
    assert corners(sent_image(prepared)) == UPRIGHT


@pytest.mark.parametrize(
    ("mode", "image_format"),
    [
        ("RGBA", "TIFF"),
        ("CMYK", "TIFF"),
        ("CMYK", "JPEG"),
        ("P", "BMP"),
        ("P", "TIFF"),
        ("YCbCr", "JPEG"),
        ("LAB", "TIFF"),
    ],
)
def test_colour_modes_keep_their_colours(mode: str, image_format: str) -> None:
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(picture(), *profiles, outputMode="LAB")
        assert image is not None
    else:
        image = picture().convert(mode)
    sent = sent_image(prepare(encode(image, image_format), image_uri=URI))
    assert (sent.format, sent.mode) == ("JPEG", "RGB")
    assert corners(sent) == UPRIGHT


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey_modes_keep_their_shades(mode: str) -> None:
    image = Image.new("L", (40, 40))
    image.paste(255, (20, 0, 40, 40))
    sent = sent_image(prepare(encode(image.convert(mode), "TIFF"), image_uri=URI))
    assert corners(sent) == [(0, 0, 0), WHITE] * 2


@pytest.mark.parametrize(
    ("mode", "top"), [("I;16", 65535), ("I;16", 4095), ("I", 65535), ("I", 255), ("F", 255.0), ("F", 1.0), ("F", 9e9)]
)
def test_wide_pixels_keep_their_shades(mode: str, top: float) -> None:
    image = Image.new("F", (40, 40))
    image.paste(top / 2, (0, 0, 20, 40))
    image.paste(top, (20, 0, 40, 40))
    wide = image if mode == "F" else image.convert("I").convert(mode)
    sent = sent_image(prepare(encode(wide, "TIFF"), image_uri=URI))
    assert sent.getpixel((5, 5)) == pytest.approx((127, 127, 127), abs=3)
    assert sent.getpixel((35, 5)) == pytest.approx((255, 255, 255), abs=3)


def test_large_16_bit_png_does_not_turn_white() -> None:
    wide = Image.new("I;16", (2100, 10), 40000)
    wide.putpixel((0, 0), 65535)
    sent = sent_image(prepare(encode(wide, "PNG"), image_uri=URI))
    assert sent.getpixel((1000, 4)) == pytest.approx((155, 155, 155), abs=3)


def test_pixels_that_are_no_numbers_are_corrupt() -> None:
    with pytest.raises(ImageRejectedError) as caught:
        prepare(encode(Image.new("F", (4, 4), float("nan")), "TIFF"), image_uri=URI)
    assert caught.value.reason == "corrupt"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_what_is_transparent_becomes_white(mode: str) -> None:
    alpha = Image.new("L", (40, 40), 255)
    alpha.paste(0, (20, 0, 40, 40))
    image = Image.new("RGBA", (40, 40)).convert(mode)
    # Set afterwards: older releases of Pillow lose it where they convert to a palette.
    image.putalpha(alpha)
    sent = sent_image(prepare(encode(image, "TIFF"), image_uri=URI))
    assert corners(sent) == [(0, 0, 0), WHITE] * 2


def test_transparent_colours_become_white() -> None:
    image = Image.new("RGB", (4000, 4), "red")
    image.paste("blue", (0, 0, 2000, 4))
    sent = sent_image(prepare(encode(image, "PNG", transparency=(255, 0, 0)), image_uri=URI))
    assert corners(sent) == [BLUE, WHITE] * 2


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_animations_are_sent_as_their_first_frame(image_format: str) -> None:
    frames = [picture().transpose(Image.Transpose.ROTATE_180), picture()]
    body = encode(picture(), image_format, save_all=True, append_images=frames, duration=50)
    prepared = prepare(body, image_uri=URI)
    assert prepared.media_type == f"image/{image_format.lower()}"
    sent = sent_image(prepared)
    assert sent.format == "JPEG"
    assert corners(sent) == UPRIGHT


# Orientation and colour profiles


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_images_are_sent_upright(image_format: str, orientation: int) -> None:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = picture().transpose(turns[orientation]) if orientation in turns else picture()
    options = {"quality": 95, "lossless": True} if image_format == "WEBP" else {}
    prepared = prepare(encode(stored, image_format, exif=exif_block(orientation), **options), image_uri=URI)
    sent = sent_image(prepared)
    assert (prepared.width, prepared.height) == sent.size == (60, 40)
    assert corners(sent) == UPRIGHT
    assert 0x0112 not in sent.getexif()


def test_orientations_that_do_not_exist_are_ignored() -> None:
    prepared = prepare(encode(picture(), "JPEG", exif=exif_block(9)), image_uri=URI)
    assert corners(sent_image(prepared)) == UPRIGHT


def test_colour_profiles_are_applied_and_left_behind() -> None:
    # The profile says that red is green and green is red: only where it is applied, the picture is right again.
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"tXYZ").replace(b"gXYZ", b"rXYZ").replace(b"tXYZ", b"gXYZ")
    assert swapped != srgb
    red, green, blue = picture().split()
    stored = Image.merge("RGB", (green, red, blue))
    sent = sent_image(prepare(encode(stored, "PNG", icc_profile=swapped), image_uri=URI))
    assert corners(sent) == UPRIGHT
    assert "icc_profile" not in sent.info


def test_profiles_that_cannot_be_read_do_not_cost_the_image() -> None:
    sent = sent_image(prepare(encode(picture(), "JPEG", icc_profile=b"no profile"), image_uri=URI))
    assert corners(sent) == UPRIGHT
    assert "icc_profile" not in sent.info


def test_conversion_keeps_the_picture() -> None:
    original = Image.merge("RGB", [Image.linear_gradient("L"), Image.radial_gradient("L"), Image.linear_gradient("L")])
    sent = sent_image(prepare(encode(original, "BMP"), image_uri=URI))
    difference = ImageStat.Stat(ImageChops.difference(original, sent)).mean
    assert max(difference) < 4
