"""Answer texts of every layout come to clean prompts; error sentences do not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.service.prompts import PARSER_VERSION, ParsedPrompts, parse_prompts

TEXTS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "fixtures/protocol/prompt_texts.json").read_text(encoding="utf-8")
)
KEYCAP = "\ufe0f\u20e3"


def prompts_of(text: str) -> tuple[str, ...] | None:
    parsed = parse_prompts(text)
    return parsed.prompts if parsed else None


@pytest.mark.parametrize("name", TEXTS)
def test_layouts_of_the_bots(name: str) -> None:
    entry = TEXTS[name]
    expected = entry["prompts"] and ParsedPrompts(tuple(entry["prompts"]), entry["aspect_ratio"])
    assert parse_prompts(entry["text"]) == expected


def test_the_parser_has_a_version() -> None:
    assert PARSER_VERSION >= 1


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        (f"1{KEYCAP} a cat", ("a cat",)),
        (f"1{KEYCAP} a cat 2{KEYCAP} a dog", ("a cat", "a dog")),
        (f"Here you are:\n\n1{KEYCAP} a cat\n2{KEYCAP}a dog", ("a cat", "a dog")),
        (f"1{KEYCAP} a cat\n\n2{KEYCAP} \n\n3{KEYCAP} a bird", ("a cat", "a bird")),
        (f"1{KEYCAP} a 7{KEYCAP} on a door\n\n2{KEYCAP} a dog", (f"a 7{KEYCAP} on a door", "a dog")),
        (f"1{KEYCAP} over\ntwo lines\n\n2{KEYCAP} a dog", ("over two lines", "a dog")),
        ("\n\n".join(f"{n}{KEYCAP} p{n}" for n in range(1, 7)), ("p1", "p2", "p3", "p4")),
        ("1. a cat\n2. a dog", ("a cat", "a dog")),
        ("1) a cat\r\n\r\n2) a dog\r\n\r\n3) a bird", ("a cat", "a dog", "a bird")),
        ("1. 1.5 metres of rope\n2. a dog", ("1.5 metres of rope", "a dog")),
        ("a cat\r\na dog", ("a cat", "a dog")),
        ("a lone cat --ar 1:1", ("a lone cat",)),
        (f"1{KEYCAP} nul\x00led \x1b[0m\ud83d cat\x07", ("nulled [0m cat",)),
    ],
)
def test_what_is_a_list_of_prompts(text: str, prompts: tuple[str, ...]) -> None:
    assert prompts_of(text) == prompts


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \r\n\n",
        "Failed to process your command",
        "Sorry!\n\nThis image cannot be described.\nPlease try again later.\n\nThank you.",
        "You cannot do this:\n1. Open the link\n2. Solve the captcha",
        "1. Open the link",
        "3. a cat\n4. a dog",
        "one\r\ntwo\r\nthree\r\nfour\r\nfive",
        "[Banned prompt detected]\r\nwith one bare\nbreak",
        f"1{KEYCAP} --ar 1:1",
    ],
)
def test_what_is_none(text: str) -> None:
    assert parse_prompts(text) is None


@pytest.mark.parametrize(
    ("block", "prompt", "aspect_ratio"),
    [
        ("a cat --ar 58:77", "a cat", "58:77"),
        ("a cat —ar 3:2", "a cat", "3:2"),
        ("a cat --aspect 2.35:1 --v 6.1 --style raw --stop", "a cat", "2.35:1"),
        ("a cat --no dogs, birds --ar 3:2", "a cat", "3:2"),
        ("a cat --niji 6", "a cat", None),
        ("a cat --ar wide", "a cat", None),
        ("a cat -- black as night -- asleep", "a cat -- black as night -- asleep", None),
        ("a --bold statement in the middle of it all", "a --bold statement in the middle of it all", None),
        ("a cat —beautifully drawn", "a cat —beautifully drawn", None),
    ],
)
def test_parameters_at_the_end(block: str, prompt: str, aspect_ratio: str | None) -> None:
    assert parse_prompts(f"1{KEYCAP} {block}") == ParsedPrompts((prompt,), aspect_ratio)


def test_the_aspect_ratio_is_the_one_that_most_prompts_have() -> None:
    ratios = ("1:1", "3:2", "3:2")
    text = "\n\n".join(f"{n}{KEYCAP} p --ar {ratio}" for n, ratio in enumerate(ratios, 1))
    assert parse_prompts(text) == ParsedPrompts(("p", "p", "p"), "3:2")


@pytest.mark.parametrize(
    ("block", "prompt"),
    [
        ("by [tom whalen](https://goo.gl/search?artist%20tom%20whalen), red", "by tom whalen, red"),
        ("[a](u), [b](v) and [c](w)", "a, b and c"),
        ("[Rivière (1864)](https://x.example/a_(b)_(c)) sea", "Rivière (1864) sea"),
        ("[a [b] c](https://x.example) d", "a [b] c d"),
        ("[[a](u)](v) d", "a d"),
        ("[a](https://x.example/(b), red (soft)", "a, red (soft)"),
        ('[a](https://x.example "a title") b', "a b"),
        ("[a] (b) [c]", "[a] (b) [c]"),
        ("[a](no end", "[a](no end"),
        ("a](b) c", "a](b) c"),
    ],
)
def test_links_become_their_words(block: str, prompt: str) -> None:
    assert prompts_of(f"1{KEYCAP} {block}") == (prompt,)


@pytest.mark.parametrize("piece", ["](", "[", "[](", "[a](b", ")", "([", "--a ", "1\u20e3", "\r\n", " ", "1. x\n"])
def test_hostile_repetition_is_read_in_time(piece: str) -> None:
    text = f"1{KEYCAP} x " + piece * 200_000
    # A quadratic parser would need hours; the limit of the whole test run is what stops it.
    assert parse_prompts(text) is not None


#: What a notice says to its reader, which lines without numbers may not; hypothesis takes such words from our source.
SPEAKS = re.compile(
    r"please|sorry|again|you|not|n['’]t|unable|failed|invalid|denied|status|moderation|acknowledge|prompts|descr|capt"
    r"|抱歉|失败|无法|请|错误|提示词|描述|希望|如",
    re.IGNORECASE,
)
WORDS = (
    st.lists(
        st.text(st.characters(categories=["L", "Nd"], include_characters="',;.!()\""), min_size=1, max_size=8).filter(
            lambda word: word[0].isalpha()
        ),
        min_size=1,
        max_size=12,
    )
    .map(" ".join)
    .filter(lambda words: not SPEAKS.search(words))
)
TARGETS = st.text("abc%20/?=&.-_", max_size=20).map(lambda path: f"https://x.example/{path}")
LINKED = st.tuples(WORDS, TARGETS, st.booleans()).map(
    lambda parts: (parts[0], f"[{parts[0]}]({parts[1]}{'_(x)' if parts[2] else ''})")
)
RATIOS = st.one_of(st.none(), st.tuples(st.integers(1, 99), st.integers(1, 99)).map(lambda r: f"{r[0]}:{r[1]}"))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(WORDS, min_size=1, max_size=4),
    RATIOS,
    st.sampled_from(["\ufe0f\u20e3", "\u20e3"]),
    st.sampled_from(["\n\n", " \n\n", "\n", "\r\n\r\n"]),
)
def test_numbered_prompts_come_back(prompts: list[str], ratio: str | None, keycap: str, separator: str) -> None:
    suffix = f" --ar {ratio}" if ratio else ""
    text = separator.join(f"{n}{keycap} {prompt}{suffix}" for n, prompt in enumerate(prompts, 1))
    assert parse_prompts(text) == ParsedPrompts(tuple(prompts), ratio)


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=2, max_size=4))
def test_lines_of_partner_accounts_come_back(prompts: list[str]) -> None:
    assert prompts_of("\r\n".join(prompts)) == tuple(prompts)


@settings(max_examples=60, deadline=None)
@given(st.lists(LINKED, min_size=1, max_size=4))
def test_no_link_is_left(links: list[tuple[str, str]]) -> None:
    text = f"1{KEYCAP} in the style of " + ", ".join(link for _, link in links)
    assert prompts_of(text) == ("in the style of " + ", ".join(words for words, _ in links),)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=()), max_size=20),
            st.sampled_from(["1️⃣ ", "\n\n2️⃣ ", "\r\n", "[a](", "](b)", " --ar 3:2", "\x00", "\ud83d", "1. ", "--"]),
        ),
        max_size=12,
    ).map("".join)
)
def test_any_text_gives_clean_prompts_or_none(text: str) -> None:
    parsed = parse_prompts(text)
    if parsed is None:
        return
    assert 1 <= len(parsed.prompts) <= 4
    for prompt in parsed.prompts:
        assert prompt == prompt.strip() != ""
        assert prompt.encode("utf-8")
        assert not any(ord(character) < 32 for character in prompt)
