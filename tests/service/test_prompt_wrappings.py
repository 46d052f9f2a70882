"""Answers in what relays wrap them in, of every shape of list: the four prompts come out as they went in."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_midjourney.describe.service.prompts import parse_prompts

if TYPE_CHECKING:
    from collections.abc import Callable

PROMPTS = (
    'a "red" fox & its cubs in snow, watercolor',
    "the old harbour at dusk, painted in oil <by hand>",
    "it's raining on 3 streets, in the style of anime",
    "é日本, a portrait of a woman with flowers, soft light",
)
KEYCAPS = ("{}\ufe0f\u20e3", "{}\u20e3", "{}\u20e3\ufe0f", "**{}\ufe0f\u20e3**", "{}.", "{})", "({})")
SEPARATORS = ("\n\n", "\n \n", "\r\n\r\n", "\n", "\r\n")
SUFFIXES = ("", " --ar 3:2", " —ar 3:2", " --ar 3:2 --v 6.1", ". --ar 3:2")
MARKS = ("{}", "**{}**", "*{}*", "“{}”")


def as_it_is(text: str) -> str:
    return text


def with_entities(text: str) -> str:
    return html.escape(text)


def with_entities_of_entities(text: str) -> str:
    return html.escape(html.escape(text))


def with_numbers_for_letters(text: str) -> str:
    return "".join(f"&#{ord(letter)};" if ord(letter) > 127 else letter for letter in html.escape(text))


def escaped(text: str) -> str:
    return re.sub(r"([*_#()+.!>-])", r"\\\1", text)


def with_tags_for_breaks(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "<br>")


WRAPPINGS = (
    as_it_is,
    with_entities,
    with_entities_of_entities,
    with_numbers_for_letters,
    escaped,
    with_tags_for_breaks,
)


@given(*map(st.sampled_from, (KEYCAPS, SEPARATORS, SUFFIXES, MARKS, WRAPPINGS)))
def test_four_prompts_come_out_of_every_wrapping(
    keycap: str, separator: str, suffix: str, mark: str, wrap: Callable[[str], str]
) -> None:
    text = separator.join(
        f"{keycap.format(number)} {mark.format(prompt)}{suffix}" for number, prompt in enumerate(PROMPTS, 1)
    )

    parsed = parse_prompts(wrap(text))

    assert parsed is not None
    assert [prompt.rstrip(".") for prompt in parsed.prompts] == list(PROMPTS)
    assert parsed.aspect_ratio == ("3:2" if suffix else None)


def escaped_all(prompts: list[str]) -> list[str]:
    return [html.escape(prompt) for prompt in prompts]


def with_keycaps(prompts: list[str]) -> str:
    return "\n\n".join(f"{number}\ufe0f\u20e3 {prompt}" for number, prompt in enumerate(prompts, 1))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "wrap",
    [
        json.dumps,
        lambda prompts: json.dumps({"prompts": prompts}, indent=2),
        lambda prompts: json.dumps([{"id": 1, "prompt": prompt} for prompt in prompts]),
        lambda prompts: json.dumps({"code": 1, "data": {"prompts": prompts}}),
        lambda prompts: json.dumps({str(number): prompt for number, prompt in enumerate(prompts, 1)}),
        lambda prompts: json.dumps([f"{number}. {prompt}" for number, prompt in enumerate(prompts, 1)]),
        lambda prompts: json.dumps([f"{number}\u20e3 {prompt}" for number, prompt in enumerate(prompts, 1)]),
        lambda prompts: json.dumps([{"text": prompt, "score": 1} for prompt in prompts]),
        lambda prompts: "<ol>" + "".join(f'<li class="p">{html.escape(prompt)}</li>\n' for prompt in prompts) + "</ol>",
        lambda prompts: f"```json\n{json.dumps(prompts, indent=1, ensure_ascii=False)}\n```",
        lambda prompts: f"Here are the prompts:\n```json\n{json.dumps(prompts)}\n```\nEnjoy!",
        lambda prompts: f"Here are the prompts: {json.dumps(prompts)}",
        lambda prompts: json.dumps(json.dumps({"prompts": prompts})),
        lambda prompts: json.dumps({f"prompt_{number}": prompt for number, prompt in enumerate(prompts, 1)}),
        lambda prompts: "\n".join(json.dumps({"caption": prompt}) for prompt in prompts),
        lambda prompts: json.dumps({"prompt": with_keycaps(prompts)}),
        lambda prompts: json.dumps([with_keycaps(prompts)]),
        lambda prompts: json.dumps(with_keycaps(prompts)),
        lambda prompts: with_keycaps(prompts).encode("ascii", "backslashreplace").decode().replace("\\xe9", "é"),
        lambda prompts: with_keycaps(prompts).encode().decode("latin-1"),
        str,
        lambda prompts: str(tuple(prompts)),
        lambda prompts: str({"prompts": prompts}),
        lambda prompts: str([f"{number}\ufe0f\u20e3 {prompt}" for number, prompt in enumerate(prompts, 1)]),
        lambda prompts: "".join(f"<p>{number}. {html.escape(prompt)}</p>" for number, prompt in enumerate(prompts, 1)),
        lambda prompts: "<ol>" + "".join(f"<li><b>{html.escape(prompt)}</b></li>" for prompt in prompts) + "</ol>",
        lambda prompts: "".join(f"<prompt>{html.escape(prompt)}</prompt>" for prompt in prompts),
        lambda prompts: "".join(f"<prompt><![CDATA[{prompt}]]></prompt>" for prompt in prompts),
        lambda prompts: html.escape("".join(f"<p>{html.escape(prompt)}</p>" for prompt in prompts)),
        lambda prompts: (
            "<ol>" + "".join(f"<li>{one.replace(', ', ',<br>', 1)}</li>" for one in escaped_all(prompts)) + "</ol>"
        ),
        lambda prompts: "<ol>" + "".join(f"<li>{html.escape(prompt)}" for prompt in prompts) + "</ol>",
        lambda prompts: json.dumps({"prompts": prompts, "tags": ["a tag of an image", "and one more tag"]}),
        lambda prompts: json.dumps([[prompt] for prompt in prompts]),
        lambda prompts: json.dumps({"images": [{"description": {"text": prompt}} for prompt in prompts]}),
        lambda prompts: repr(with_keycaps(prompts)),
        lambda prompts: repr(with_keycaps(prompts).encode()),
        lambda prompts: repr([prompt.encode() for prompt in prompts]),
        lambda prompts: "\n".join(f"prompt_{n} = {prompt}" for n, prompt in enumerate(prompts, 1)),
        lambda prompts: "\n".join(f"- [ ] {prompt}" for prompt in prompts),
        lambda prompts: "\n".join(f"<b>{n}.</b> <i>{html.escape(prompt)}</i>" for n, prompt in enumerate(prompts, 1)),
        lambda prompts: f"<@123456789> <t:1712345678:R>\n{with_keycaps(prompts)}\n-# described by a bot",
    ],
)
def test_a_list_of_prompts_is_read(wrap: Callable[[list[str]], str], suffix: str) -> None:
    parsed = parse_prompts(wrap([prompt + suffix for prompt in PROMPTS]))

    assert parsed is not None
    assert [prompt.rstrip(".") for prompt in parsed.prompts] == list(PROMPTS)


@pytest.mark.parametrize(
    "text",
    [
        '{"code": 24, "description": "the prompt may contain banned words"}',
        '["Could not fetch the image"]',
        '{"error": ["Invalid image", "Try again"], "hints": []}',
        "[1, 2, 3, 4]",
        '{"1": "Invalid image", "3": "Try again"}',
        '[{"text": "Invalid image"}, {"code": 4}]',
        "<ul><li>Invalid image</li></ul>",
        "{}",
        "[[[[",
        '["error", "rate limited"]',
        '{"message": "Internal error", "errors": ["no image was found", "and no account"]}',
        "{'error': ['no image was found', 'and no account']}",
        "('a', 'b')",
    ],
)
def test_other_json_holds_no_prompts(text: str) -> None:
    assert parse_prompts(text) is None


def test_links_whose_targets_stand_at_the_end_are_words() -> None:
    lines = [f"{number}\u20e3 a lake by [Claude Monet][{number}] and [Cézanne][] --ar 3:2" for number in range(1, 5)]
    targets = [f"[{number}]: https://example.com/{number} 'title'" for number in range(1, 5)]
    text = "\n\n".join([*lines, "\n".join([*targets, "[cézanne]: <https://example.com>"])])

    parsed = parse_prompts(text)

    assert parsed is not None
    assert set(parsed.prompts) == {"a lake by Claude Monet and Cézanne"}
    assert len(parsed.prompts) == 4


def test_brackets_without_a_target_stay() -> None:
    parsed = parse_prompts("1️⃣ a sign that says [open][1] --ar 1:1\n\n2️⃣ salt &pepper; AT&T &unknown; --ar 1:1")

    assert parsed is not None
    assert parsed.prompts == ("a sign that says [open][1]", "salt &pepper; AT&T &unknown;")
