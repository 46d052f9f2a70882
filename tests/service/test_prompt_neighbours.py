"""Layouts beside those of the cases: decorated numbers, single hyphens, quotation marks, signs that say "you"."""

from __future__ import annotations

import pytest

from airflow_midjourney.describe.service.prompts import ParsedPrompts, parse_prompts

BOAT = "a red rowing boat on a still lake at dawn"
TRAM = "a blue tram climbing a steep street in the rain"
HILL = "a green hill with a single oak, pastel drawing"
OWL = "a grey owl on a fence post, close-up photograph"
FOUR = (BOAT, TRAM, HILL, OWL)
K = "\ufe0f\u20e3"

MARKS = [
    *("{} \u20e3 ", "{}\ufe0f\u00a0\u20e3 ", "(Prompt {}) ", "[Prompt {}] ", "[Image {}]: ", "(Option {}/4) "),
    *("🔢{}. ", "📝 {}. ", "✦ {}. ", "➤ {}) ", "✨ {}\ufe0f\u20e3 ", "{} ➜ ", "{} ⇒ ", "{} » ", "{} ➡\ufe0f "),
    *("{}·", "{}・", "其{}、", "{}.– "),
]


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_numbers_with_brackets_pictures_and_arrows_are_marks(mark: str, between: str) -> None:
    text = between.join(mark.format(number) + prompt for number, prompt in enumerate(FOUR, 1))

    assert parse_prompts(text) == ParsedPrompts(FOUR, None)


@pytest.mark.parametrize("marks", ["A - |B - |C - |D - ", "A、|B、|C、|D、", "甲、|乙、|丙、|丁、"])
def test_letters_and_stems_are_marks(marks: str) -> None:
    text = "\n".join(mark + prompt for mark, prompt in zip(marks.split("|"), FOUR, strict=True))

    assert parse_prompts(text) == ParsedPrompts(FOUR, None)


def test_a_full_width_comma_behind_a_number_is_a_mark_before_letters_of_the_east() -> None:
    prompts = ("一只红船停在湖上", "一辆蓝色电车在雨中", "一座绿色的小山", "一只灰色的猫头鹰")
    text = "\n".join(f"{number}，{prompt}" for number, prompt in enumerate(prompts, 1))

    assert parse_prompts(text) == ParsedPrompts(prompts, None)


@pytest.mark.parametrize("quotes", ["‹›", "‟”", "‚‘", "《》", "【】"])
def test_quotation_marks_around_a_prompt_are_no_part_of_it(quotes: str) -> None:
    text = "\n\n".join(f"{n}{K} {quotes[0]}{prompt}{quotes[1]}" for n, prompt in enumerate(FOUR, 1))

    assert parse_prompts(text) == ParsedPrompts(FOUR, None)


@pytest.mark.parametrize(
    ("block", "prompt", "aspect_ratio"),
    [
        ("a boat --ar 3:2 -v 6", "a boat", "3:2"),
        ("a boat -ar 3:2 -v 6 -style raw", "a boat", "3:2"),
        ("a boat -s 250 -v 6 -ar 3:2", "a boat", "3:2"),
        ("a boat -v 6", "a boat -v 6", None),
        ("shot -v 6 in the rain --ar 3:2", "shot -v 6 in the rain", "3:2"),
        ("a well -fast car --ar 3:2", "a well -fast car", "3:2"),
        ("a plane -no people --ar 3:2", "a plane -no people", "3:2"),
    ],
)
def test_a_lone_hyphen_begins_a_parameter_beside_a_sure_one(block: str, prompt: str, aspect_ratio: str | None) -> None:
    assert parse_prompts(f"1{K} {block}") == ParsedPrompts((prompt,), aspect_ratio)


@pytest.mark.parametrize(
    "sign",
    [
        'a wooden sign in a maze that reads "you are here", soft light',
        "a phone that shows the words your account, flat design, blue",
        "a cat that is not amused, oil painting",
        "一张写着“请先敲门”的纸条",
    ],
)
@pytest.mark.parametrize("at", [0, 3])
@pytest.mark.parametrize("between", ["\n", "\n\n", "\r\n", "\n- "])
def test_one_of_four_without_numbers_may_tell_what_a_sign_says(sign: str, at: int, between: str) -> None:
    prompts = (*FOUR[:at], sign, *FOUR[at + 1 :])
    text = ("- " if between.endswith("- ") else "") + between.join(prompts)

    assert parse_prompts(text) == ParsedPrompts(prompts, None)


@pytest.mark.parametrize(
    "notice",
    [
        "This image could not be read by the bot.\n\nThe link gave an error page instead.\n\nOur team has been told."
        "\n\nThank you for your patience and understanding.",
        "Something failed on our side:\nthe bot is away\nthe server is away\nthe queue is long\nthat is all, folks",
        "Your image failed, sorry\nthe bot is away\nthe server is away\nthe queue is long",
        "Upload rejected by the service\nReason: the picture is too dark\nPlease use another picture, or crop it\n"
        "Reference 1234-5678-90 of today",
        "Midjourney Bot\nthis command is gone from here\nyou can use it in a direct message\nsee the help for more",
        "账号异常\n您的账号已被限制\n请先完成验证\n谢谢配合与理解",
    ],
)
def test_a_notice_of_four_lines_is_no_list(notice: str) -> None:
    assert parse_prompts(notice) is None
