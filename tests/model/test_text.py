"""Text from strangers: what a database takes, what a message may show."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.model.text import on_one_line, presentable, shortened, storable

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)


def test_storable_keeps_what_a_database_takes() -> None:
    assert storable("灯塔 🎉 café\n\t") == "灯塔 🎉 café\n\t"


@pytest.mark.parametrize(
    ("text", "clean"), [("a\x00b", "ab"), ("a\ud83db", "ab"), ("\udc00\ud800x", "x"), ("\x00", "")]
)
def test_storable_removes_nul_and_lone_surrogates(text: str, clean: str) -> None:
    assert storable(text) == clean


@settings(max_examples=60, deadline=None)
@given(ANY_TEXT)
def test_storable_text_can_be_encoded_and_is_stable(text: str) -> None:
    clean = storable(text)
    assert "\x00" not in clean.encode("utf-8").decode("utf-8")
    assert storable(clean) == clean


@settings(max_examples=60, deadline=None)
@given(ANY_TEXT, st.integers(1, 50))
def test_shortened_text_is_never_longer_than_allowed(text: str, limit: int) -> None:
    short = shortened(text, limit)
    assert len(short) <= limit
    assert short == text or short.endswith("…")


def test_one_line_holds_no_breaks_and_no_controls() -> None:
    assert on_one_line(" a\r\n\x1b[31mb\u2028c\x85 ") == "a [31mb c"


def test_presentable_hides_what_was_sent() -> None:
    said = "bad key K3Y-of-mine for data:image/png;base64,iVBORw0KGgo= [sk-abc***xyz] state 4711"
    shown = presentable(said, hidden=("K3Y-of-mine\n", "4711", ""))
    assert shown == "bad key … for … […] state …"


KEY = "Very/Hidden+Key=42"


@pytest.mark.parametrize(
    "quoted",
    [
        KEY.upper(),
        KEY.lower(),
        quote(KEY, safe=""),
        quote(KEY, safe="").lower(),
        quote(quote(KEY, safe=""), safe=""),
        "".join(f"%{ord(letter):02x}" for letter in KEY),
        "".join(f"\\u{ord(letter):04X}" for letter in KEY),
        "".join(f"&#{ord(letter)};" for letter in KEY),
        KEY.replace("/", "&#x2F;").replace("+", "&#043;"),
        *(
            base64.b64encode(f"{before}{KEY}{after}".encode()).decode()
            for before in ("", "a:", ":")
            for after in ("", ":")
        ),
        base64.b64encode(f"Bearer {KEY}".encode()).decode(),
        base64.urlsafe_b64encode(f"Bearer {KEY}".encode()).decode().rstrip("="),
    ],
)
def test_presentable_hides_what_was_sent_in_any_case_and_coding(quoted: str) -> None:
    shown = presentable(f"no such key: '{quoted}', sorry", hidden=(KEY,))
    assert shown.startswith("no such key: '")
    assert shown.endswith("', sorry")
    assert "…" in shown
    # Of what stands around it in base64 no more than that is left.
    assert len(shown) <= len("no such key: 'Bearer...…..', sorry")


def test_presentable_leaves_all_else() -> None:
    said = "Very hidden: the key 4-2 is no key, %56 neither; VmVyeS9I"
    assert presentable(said, hidden=(KEY, "s")) == said.replace("s", "…").replace("S", "…")


def test_presentable_hides_before_it_cuts() -> None:
    shown = presentable("x" * 195 + "topsecretkey", hidden=("topsecretkey",))
    assert "top" not in shown
    assert len(shown) <= 200


@settings(max_examples=60, deadline=None)
@given(ANY_TEXT)
def test_presentable_is_one_short_printable_line(text: str) -> None:
    shown = presentable(text, limit=40)
    assert len(shown) <= 40
    assert shown.splitlines() in ([], [shown])
