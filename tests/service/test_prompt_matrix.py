"""Four prompts come back whatever the spelling of their marks, what divides them, and what hangs on them."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.service.prompts import ParsedPrompts, parse_prompts

WORDS = [
    *("a red rowing boat", "2 boats", "35mm", "a 16:9 frame", "Nr. 5", "no. 3", "well-known", "still life", "f/1.8"),
    *("cut—and dried", "a boat — at dawn", "black as night", "(soft light)", "'60s", "1.5 metres", "3-storey", "a/b"),
    *(
        "100% wool",
        "snake_case",
        "2 * 3",
        "50 – 60",
        "C# on a board",
        "at 7:30",
        "v 6",
        "ar 3:2",
        "J. M. W.",
        "o'clock",
    ),
    *(
        "一只红船停在湖上",
        "二十、三十",
        "第一场雪",
        "чёрный кот",
        "القط الأسود",
        "❤️",
        "👩‍🎨 at work",
        "café",
        "& co",
        "#7 on a door",
    ),
]
FIRST_WORDS = ["a red rowing boat", "2 boats", "35mm photograph", "16:9 frame", "Nr. 5", "一只红船", "the", "'60s car"]
LAST_WORDS = ["at dawn", "of 35mm", "by the lake.", "(1902)", "drawing!", "猫头鹰", "in 4", "Nr. 5"]
PROMPTS = st.tuples(
    st.sampled_from(FIRST_WORDS), st.lists(st.sampled_from(WORDS), max_size=5), st.sampled_from(LAST_WORDS)
)
FOUR = st.lists(PROMPTS.map(lambda parts: " ".join([parts[0], *parts[1], parts[2]])), min_size=4, max_size=4)

SIGNS = {
    "keycap": [f"{n}\ufe0f\u20e3" for n in range(1, 5)],
    "keycap without selector": [f"{n}\u20e3" for n in range(1, 5)],
    "keycap as text": [f"{n}\ufe0e\u20e3" for n in range(1, 5)],
    "selector behind": [f"{n}\u20e3\ufe0f" for n in range(1, 5)],
    "two selectors": [f"{n}\ufe0f\u20e3\ufe0f" for n in range(1, 5)],
    "joiner inside": [f"{n}\ufe0f\u200d\u20e3" for n in range(1, 5)],
    "space without width inside": [f"{n}\u200b\u20e3" for n in range(1, 5)],
    "selector without keycap": [f"{n}\ufe0f" for n in range(1, 5)],
    "full width": [f"{n}\ufe0f\u20e3" for n in "１２３４"],
    "circled": list("①②③④"),
    "black circled": list("❶❷❸❹"),
    "in parentheses": list("⑴⑵⑶⑷"),
    "with full stop": list("⒈⒉⒊⒋"),
    "short code": [":one:", ":two:", ":three:", ":four:"],
}
NUMBERS = {
    "dot": [f"{n}." for n in range(1, 5)],
    "parenthesis": [f"{n})" for n in range(1, 5)],
    "parentheses": [f"({n})" for n in range(1, 5)],
    "brackets": [f"[{n}]" for n in range(1, 5)],
    "colon": [f"{n}:" for n in range(1, 5)],
    "dash": [f"{n} -" for n in range(1, 5)],
    "long dash": [f"{n} –" for n in range(1, 5)],
    "hash": [f"#{n}" for n in range(1, 5)],
    "hash and colon": [f"#{n}:" for n in range(1, 5)],
    "bold number": [f"**{n}.**" for n in range(1, 5)],
    "bold number, plain dot": [f"**{n}**." for n in range(1, 5)],
    "escaped dot": [f"{n}\\." for n in range(1, 5)],
    "label": [f"Prompt {n}:" for n in range(1, 5)],
    "bold label": [f"**Prompt {n}:**" for n in range(1, 5)],
    "heading": [f"### {n}." for n in range(1, 5)],
    "full-width digit": [f"{n}．" for n in "１２３４"],
    "full-width parentheses": [f"（{n}）" for n in range(1, 5)],
    "Chinese comma": [f"{n}、" for n in range(1, 5)],
    "Chinese numeral": [f"{n}、" for n in "一二三四"],
    "Chinese numeral in parentheses": [f"（{n}）" for n in "一二三四"],
}
BEFORE_SIGNS = [
    "",
    "\ufeff",
    "\u200e",
    "\u2067",
    "\u200b",
    " ",
    "\n\n",
    "> ",
    "- ",
    "**",
    "Here are your prompts:\n",
    "Prompts: ",
]
AFTER_SIGNS = ["", " ", "  ", "\u00a0", ". ", ") ", ": ", " - ", "\u200b ", "\u200f"]
BETWEEN = ["\n\n", " \n\n", "\n", "\r\n", "\r\n\r\n", "\r", "\u2028", "\n \n", "\n\n\n", "<br>"]
BEFORE_NUMBERS = ["", "\ufeff", "\u200e", " ", "\n", "Here are your prompts:\n", "Here are four prompts: "]


@dataclass(frozen=True)
class Suffix:
    text: str
    ratio: str | None


SUFFIXES = [
    Suffix("", None),
    *(
        Suffix(f" {dash}ar {ratio}{end}", "3:2")
        for dash in ("--", "—", "–", "‒", "―", "－－", "——", "−−", "- -"[:1] * 2)
        for ratio in ("3:2", "3：2", "３：２", "3∶2")
        for end in ("", " ", ".", ",", "\u200b")
    ),
    Suffix("--ar 3:2", "3:2"),
    Suffix(" --AR 3:2", "3:2"),
    Suffix(" --aspect 3:2 --v 6.1", "3:2"),
    Suffix(" --ar=3:2", "3:2"),
    Suffix(" (--ar 3:2)", "3:2"),
    Suffix(" `--ar 3:2`", "3:2"),
    Suffix(" **--ar 3:2**", "3:2"),
    Suffix(" --ar 58:77 --style raw --stylize 250 --chaos 5 --weird 10", "58:77"),
    Suffix(" --personalize ab12cd ef34gh --ar 3:2 --v 7", "3:2"),
    Suffix(" --p --ar 3:2", "3:2"),
    Suffix(" --profile x9k2m1 --sref 123 456 --sw 50 --ar 3:2", "3:2"),
    Suffix(" --ar 3:2 --sref https://x.example/a.png", "3:2"),
    Suffix(" --no dogs, birds --ar 3:2 --niji 6", "3:2"),
    Suffix(" --ar 3:2 --tile --seed 12345 --iw 1.5 --q .5", "3:2"),
    Suffix(" —ar 3:2 —style raw —v 6.0", "3:2"),
    Suffix(" –niji 6 –s 250 –ar 3:2", "3:2"),
    Suffix(" --unknown 12 --stop", None),
]
WRAPPERS = ["{}", "**{}**", "*{}*", "__{}__", "`{}`", "~~{}~~", "\u202a{}\u202c", "\u2068{}\u2069"]


def _text(marks: list[str], after: str, between: str, wrapper: str, prompts: list[str], suffix: Suffix) -> str:
    blocks = zip(marks, prompts, strict=True)
    return between.join(f"{mark}{after}{wrapper.format(prompt)}{suffix.text}" for mark, prompt in blocks)


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(list(SIGNS)),
    st.sampled_from(BEFORE_SIGNS),
    st.sampled_from(AFTER_SIGNS),
    st.sampled_from(BETWEEN),
    st.sampled_from(WRAPPERS),
    st.sampled_from(SUFFIXES),
    FOUR,
)
def test_prompts_numbered_with_signs(
    signs: str, before: str, after: str, between: str, wrapper: str, suffix: Suffix, prompts: list[str]
) -> None:
    text = before + _text(SIGNS[signs], after, between, wrapper, prompts, suffix)
    assert parse_prompts(text) == ParsedPrompts(tuple(prompts), suffix.ratio)


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(list(NUMBERS)),
    st.sampled_from(BEFORE_NUMBERS),
    st.sampled_from(BETWEEN),
    st.sampled_from(WRAPPERS),
    st.sampled_from(SUFFIXES),
    FOUR,
)
@example("dot", "", "\n", "{}", SUFFIXES[0], ["2 boats at dawn", "16:9 frame in 4", "35mm of 35mm", "Nr. 5 Nr. 5"])
def test_prompts_numbered_plainly(
    numbers: str, before: str, between: str, wrapper: str, suffix: Suffix, prompts: list[str]
) -> None:
    text = before + _text(NUMBERS[numbers], " ", between, wrapper, prompts, suffix)
    assert parse_prompts(text) == ParsedPrompts(tuple(prompts), suffix.ratio)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(list(SIGNS)), st.sampled_from(SUFFIXES), FOUR)
def test_signs_of_a_text_without_line_breaks(signs: str, suffix: Suffix, prompts: list[str]) -> None:
    text = _text(SIGNS[signs], " ", " ", "{}", prompts, suffix)
    assert parse_prompts(text) == ParsedPrompts(tuple(prompts), suffix.ratio)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(["\n", "\n\n", "\r\n", "\r\n\r\n", "\u2028"]),
    st.sampled_from(["{}", "- {}", "* {}", "• {}", "> {}", "**{}**"]),
    st.sampled_from([suffix for suffix in SUFFIXES if suffix.ratio]),
    st.sampled_from(["", "\ufeff", "Here are your prompts:\n"]),
    FOUR,
    st.integers(2, 4),
)
def test_lists_without_numbers(
    between: str, bullet: str, suffix: Suffix, before: str, prompts: list[str], how_many: int
) -> None:
    text = before + between.join(bullet.format(prompt) + suffix.text for prompt in prompts[:how_many])
    assert parse_prompts(text) == ParsedPrompts(tuple(prompts[:how_many]), suffix.ratio)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["\n", "\n\n", "\r\n", "\r\n\r\n"]), FOUR)
def test_four_lines_without_numbers_and_ratios(between: str, prompts: list[str]) -> None:
    sentences = [f"{prompt}, oil on canvas" for prompt in prompts]
    assert parse_prompts(between.join(sentences)) == ParsedPrompts(tuple(sentences), None)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(SIGNS)), st.permutations(range(4)), FOUR)
def test_prompts_in_another_order_have_the_places_of_their_numbers(
    signs: str, order: list[int], prompts: list[str]
) -> None:
    text = "\n\n".join(f"{SIGNS[signs][at]} {prompts[at]}" for at in order)
    assert parse_prompts(text) == ParsedPrompts(tuple(prompts), None)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(SIGNS)), st.integers(1, 3), FOUR)
def test_a_list_that_begins_later_keeps_what_it_has(signs: str, first: int, prompts: list[str]) -> None:
    text = "\n\n".join(f"{sign} {prompt}" for sign, prompt in list(zip(SIGNS[signs], prompts, strict=True))[first:])
    assert parse_prompts(text) == ParsedPrompts(tuple(prompts[first:]), None)
