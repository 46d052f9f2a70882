"""Other spellings of a key: what people, spreadsheets and other systems make of it."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_midjourney.describe.storage.keys import problem_of_key
from airflow_midjourney.describe.storage.manifest.spellings import other_spellings

KEYS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30)


@given(st.text(max_size=40))
def test_each_is_another_key_that_an_object_can_have(key: str) -> None:
    spellings = other_spellings(key)

    assert key not in spellings
    assert len(spellings) == len(set(spellings)) <= 40
    assert [one for one in spellings if problem_of_key(one)] == []


@given(KEYS.filter(lambda key: not problem_of_key(key) and quote(key) != key))
def test_a_key_that_was_encoded_is_among_them(key: str) -> None:
    assert key in other_spellings(quote(key))
    if "%" in quote_plus(key):
        assert key in other_spellings(quote_plus(key))


@pytest.mark.parametrize("key", ["in/a.jpg", "a+b.jpg", "100%.jpg", "50%off.jpg", "%zz.jpg", "a.b-c_d~e.jpg"])
def test_a_plain_key_has_none(key: str) -> None:
    assert other_spellings(key) == []


@pytest.mark.parametrize("key", ["\ufeffin/a.jpg", "in/a.jpg\u200b", "\u202ain/\u200da.jpg\u202c", '\ufeff"in/a.jpg"'])
def test_marks_that_no_reader_sees_are_left_out(key: str) -> None:
    assert "in/a.jpg" in other_spellings(key)


@pytest.mark.parametrize("line", ["in/a&amp;b.jpg", "in/a&#38;b.jpg", "in/a&#x26;b.jpg"])
def test_entities_of_a_web_page_are_read(line: str) -> None:
    assert "in/a&b.jpg" in other_spellings(line)
    assert other_spellings("in/a&b;c.jpg") == []


@pytest.mark.parametrize("key", ["%2e%2e/%2e%2e/a.jpg", "a%00b.jpg", "%ff%fe.jpg"])
def test_what_decodes_to_no_key_is_none(key: str) -> None:
    assert [one for one in other_spellings(key) if "%" not in one] == []


@pytest.mark.parametrize(
    "line",
    [
        "in/a.jpg,",
        "in/a.jpg ;",
        '"in/a.jpg",',
        "- in/a.jpg",
        "* in/a.jpg",
        "12. in/a.jpg",
        "  - 'in/a.jpg'",
        "['in/a.jpg',",
        " 'in/a.jpg']",
        "<s3://photos/in/a.jpg>",
        "- s3://photos/in/a.jpg",
        "photos/in/a.jpg",
        "/photos/in/a.jpg",
        "“in/a.jpg”",
        "„in/a.jpg“",
        "`in/a.jpg`",
    ],
)
def test_what_lists_put_around_a_key_is_left_out(line: str) -> None:
    assert "in/a.jpg" in other_spellings(line, "photos")
