from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.testing.simulator.data_uri import (
    MalformedDataUriError,
    UncheckedDataUriError,
    read_anyhow,
    read_leniently,
    read_strictly,
)

CONTENT = b"\xfb\xff\xfe picture"
B64 = base64.b64encode(CONTENT).decode()


@pytest.mark.parametrize(
    "media_type", ["image/png", "image/jpeg", "image/webp", "image/gif", "image/heic", "image/jpg"]
)
@pytest.mark.parametrize("parameter", ["", ";charset=utf-8"])
def test_novicezk_takes_any_lower_case_type(media_type: str, parameter: str) -> None:
    image = read_strictly(f"data:{media_type}{parameter};base64,{B64}")
    assert (image.content, image.media_type) == (CONTENT, media_type)


@pytest.mark.parametrize(
    ("text", "content", "media_type"),
    [
        (f"data:image/png;base64,{B64.rstrip('=')}", CONTENT, "image/png"),
        ("data:image/png;base64,", b"", "image/png"),
        ("data:image/png,a%20b", b"a b", "image/png"),
        (f"data:base64,{B64}", CONTENT, None),
    ],
)
def test_novicezk_takes_these_oddities(text: str, content: bytes, media_type: str | None) -> None:
    image = read_strictly(text)
    assert (image.content, image.media_type) == (content, media_type)


@pytest.mark.parametrize(
    "text",
    [
        B64,
        "https://example.com/a.png",
        f" data:image/png;base64,{B64}",
        f"DATA:image/png;base64,{B64}",
        f"data:;base64,{B64}",
        f"data:image/png; base64,{B64}",
        f"data:image/PNG;base64,{B64}",
        f"data:image/svg+xml;base64,{B64}",
        f"data:application/vnd.x;base64,{B64}",
        f"data:image/png;base64,{B64[:8]}\n{B64[8:]}",
        f"data:image/png;base64,{base64.urlsafe_b64encode(CONTENT).decode()}",
    ],
)
def test_novicezk_refuses(text: str) -> None:
    with pytest.raises(MalformedDataUriError):
        read_strictly(text)


def test_novicezk_crashes_without_a_comma() -> None:
    with pytest.raises(UncheckedDataUriError):
        read_strictly("data:image/png;base64")


@pytest.mark.parametrize(
    ("text", "media_type"),
    [
        (f"data:image/PNG;base64,{B64}", "image/PNG"),
        (f"  x data:image/png;base64,{B64}", "image/png"),
        (B64, "image/png"),
        (f"{B64[:8]}\n{B64[8:]}", "image/png"),
    ],
)
def test_trueai_takes_more(text: str, media_type: str) -> None:
    image = read_leniently(text)
    assert (image.content, image.media_type) == (CONTENT, media_type)


def test_trueai_takes_an_address_for_a_link() -> None:
    assert read_leniently("https://example.com/a.png").link == "https://example.com/a.png"


@pytest.mark.parametrize("text", ["no-base64!", B64.rstrip("="), "data:image/png,abc", "data:image/png;base64,"])
def test_trueai_refuses(text: str) -> None:
    with pytest.raises(MalformedDataUriError):
        read_leniently(text)


@settings(max_examples=100, deadline=None)
@given(text=st.text())
def test_any_string_is_taken_or_refused(text: str) -> None:
    for read in (read_strictly, read_leniently):
        try:
            assert len(read(text).sha256) == 64
        except (MalformedDataUriError, UncheckedDataUriError):
            assert isinstance(read_anyhow(text), bytes)


@settings(max_examples=50, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_come_through(content: bytes) -> None:
    text = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    assert read_strictly(text).content == content
