from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from simulator_client import picture

from airflow_midjourney.testing.simulator.answer_text import answer_text, translated_text
from airflow_midjourney.testing.simulator.model import TaskPlan
from airflow_midjourney.testing.simulator.settings import Layout
from airflow_midjourney.testing.simulator.vision import UnreadableImageError, read_image
from airflow_midjourney.testing.simulator.wording import aspect_ratio, lists, sentences, word


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def landscape() -> Image.Image:
    image = Image.new("RGB", (300, 200), (130, 190, 240))
    image.paste((10, 95, 5), (0, 120, 300, 200))
    return image


def plan(layout: Layout = Layout.BOTS_OF_2023, **values: object) -> TaskPlan:
    return TaskPlan(upload=0, work=0, layout=layout, **values)  # type: ignore[arg-type]


def test_a_landscape_is_seen_as_one() -> None:
    reading = read_image(encoded(landscape()))
    assert {colour.name for colour in reading.colours} == {"sky blue", "deep green"}
    assert reading.open_sky
    assert reading.horizon == pytest.approx(0.6, abs=0.02)
    assert reading.warmth < 0


@pytest.mark.parametrize(
    ("colour", "name"),
    [((255, 0, 0), "red"), ((5, 5, 5), "black"), ((250, 250, 250), "snow white"), ((25, 25, 112), "midnight blue")],
)
def test_an_even_field_is_named_after_its_colour(colour: tuple[int, int, int], name: str) -> None:
    reading = read_image(encoded(Image.new("RGB", (40, 40), colour)))
    assert [each.name for each in reading.colours] == [name]
    assert [reading.contrast, reading.edges] == pytest.approx([0, 0])


def test_a_subject_on_a_plain_ground_is_seen() -> None:
    image = Image.new("RGB", (100, 100), "white")
    image.paste((200, 30, 30), (10, 10, 40, 40))
    reading = read_image(encoded(image))
    assert reading.plain_ground
    assert reading.focus == "the upper left"


def test_symmetry_is_measured_left_to_right() -> None:
    mirrored = Image.new("RGB", (100, 100), "black")
    mirrored.paste((255, 255, 255), (40, 0, 60, 100))
    lopsided = Image.new("RGB", (100, 100), "black")
    lopsided.paste((255, 255, 255), (0, 0, 50, 100))
    assert read_image(encoded(mirrored)).symmetry > 0.95 > read_image(encoded(lopsided)).symmetry


def test_orientation_follows_exif_and_large_pictures_keep_their_proportions() -> None:
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (1600, 900)).save(stream, "JPEG", exif=exif)
    assert aspect_ratio(read_image(stream.getvalue())) == "9:16"


def test_the_same_bytes_read_the_same_and_other_pictures_differently() -> None:
    texts = [answer_text(read_image(picture(number)), plan()) for number in range(25)]
    assert texts == [answer_text(read_image(picture(number)), plan()) for number in range(25)]
    assert len(set(texts)) == 25


def test_the_four_prompts_are_different() -> None:
    wording = word(read_image(encoded(landscape())))
    assert len({*lists(wording), *sentences(wording)}) == 8


def test_the_layout_of_2023() -> None:
    text = answer_text(read_image(encoded(landscape())), plan())
    blocks = text.split("\n\n")
    assert [block[:4] for block in blocks] == [f"{number}\ufe0f\u20e3 " for number in (1, 2, 3, 4)]
    assert all(block.endswith(" --ar 3:2") for block in blocks)
    assert "](https://goo.gl/search?artist%20" in text
    assert not text.endswith("\n")


def test_the_layout_of_2025() -> None:
    text = answer_text(read_image(encoded(landscape())), plan(Layout.BOTS_OF_2025))
    blocks = text.split(" \n\n")
    assert [block[:4] for block in blocks] == [f"{number}\ufe0f\u20e3 " for number in (1, 2, 3, 4)]
    assert all(block.endswith((".", ").")) for block in blocks)
    assert "--ar" not in text
    assert text.count("](https://goo.gl/") == 1


def test_the_layout_of_partner_accounts() -> None:
    reading = read_image(encoded(landscape()))
    lines = answer_text(reading, plan(partner=True, prompt_count=3)).split("\r\n")
    assert len(lines) == 3
    assert not any("\u20e3" in line or "\n" in line for line in lines)
    assert len(translated_text(reading, plan(partner=True, prompt_count=3)).split("\r\n")) == 3


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_formats_that_can_be_read(kind: str) -> None:
    assert read_image(encoded(landscape(), kind)).width == 300


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a picture",
        b"\x89PNG\r\n\x1a\n",
        picture()[:300],
        encoded(landscape())[:60],
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    ],
)
def test_what_cannot_be_read_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableImageError):
        read_image(content)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]),
    seed=st.integers(0, 2**16),
    kind=st.sampled_from(["PNG", "TIFF"]),
)
def test_tiny_and_odd_pictures_are_described(width: int, height: int, mode: str, seed: int, kind: str) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert("L" if mode == "I;16" else mode if mode != "LA" else "L")
    image = image.convert("LA") if mode == "LA" else image.convert("I;16") if mode == "I;16" else image
    content = encoded(image, "TIFF" if mode == "CMYK" else kind)
    reading = read_image(content)
    assert (reading.width, reading.height) == (width, height)
    assert 1 <= len(reading.colours) <= 3
    for measure in (reading.brightness, reading.contrast, reading.saturation, reading.symmetry, reading.edges):
        assert 0 <= measure <= 1.000001
    assert answer_text(reading, plan()).count("\u20e3") == 4


@settings(max_examples=60, deadline=None)
@given(
    place=st.integers(0, 10_000),
    value=st.integers(0, 255),
    cut=st.integers(0, 10_000),
    kind=st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF"]),
)
def test_damaged_pictures_are_read_or_refused(place: int, value: int, cut: int, kind: str) -> None:
    content = bytearray(picture(3, kind=kind))
    content[place % len(content)] = value
    damaged = bytes(content[: max(1, len(content) - cut % 50)])
    try:
        reading = read_image(damaged)
    except UnreadableImageError:
        return
    assert reading.colours
