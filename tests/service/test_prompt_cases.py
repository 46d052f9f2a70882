"""The cases that were read wrongly at c3e896e, each beside neighbours of its kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_midjourney.describe.service.prompts import ParsedPrompts, parse_prompts

CASES = Path(__file__).parents[1] / "fixtures/cases"
BOAT = "a red rowing boat on a still lake at dawn"
TRAM = "a blue tram climbing a steep street in the rain"
HILL = "a green hill with a single oak, pastel drawing"
OWL = "a grey owl on a fence post, close-up photograph"
FOUR = (BOAT, TRAM, HILL, OWL)
K = "\ufe0f\u20e3"


def keycaps(*blocks: str, between: str = "\n\n") -> str:
    return between.join(f"{n}{K} {block}" for n, block in enumerate(blocks, 1))


def case(name: str) -> str:
    return str(json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))["text"])


@pytest.mark.parametrize(
    ("name", "prompts", "aspect_ratio"),
    [
        ("prm01_bom_before_first", FOUR, None),
        ("prm03_heading_on_first_line", FOUR, None),
        ("prm05_lf_list_each_with_ratio", FOUR, "3:2"),
        ("prm07_selector_after_keycap", FOUR, None),
        ("prm08_emdash_style", FOUR, "3:2"),
        ("prm10_glued_parameter", tuple(f"{prompt}." for prompt in FOUR), "3:2"),
        ("prm12_personalize_with_two_codes", FOUR, "3:2"),
        ("prm13_markdown_bold", FOUR, None),
        ("prm14_bold_numbers", FOUR, None),
        ("prm15_full_width_ratio", FOUR, "3:2"),
        (
            "prm17_chinese_enumeration",
            ("一只红船停在湖上", "一辆蓝色电车在雨中", "一座绿色的小山", "一只灰色的猫头鹰"),
            None,
        ),
    ],
)
def test_cases(name: str, prompts: tuple[str, ...], aspect_ratio: str | None) -> None:
    assert parse_prompts(case(name)) == ParsedPrompts(prompts, aspect_ratio)


@pytest.mark.parametrize(
    "text",
    [
        "\u200b" + keycaps(*FOUR),
        "\u2067\u200f" + keycaps(*FOUR),
        keycaps(*(f"\u200e{prompt}\u200e" for prompt in FOUR)),
        "**Here you are** " + keycaps(*FOUR, between=" \n\n"),
        "Four prompts for your image:\n\n" + keycaps(*FOUR),
        "Choose 1️⃣ to 4️⃣ below:\n\n" + keycaps(*FOUR),
        keycaps(*FOUR) + "\n\n1️⃣ 2️⃣ 3️⃣ 4️⃣",
        keycaps(*FOUR, between=" "),
        keycaps(*FOUR, between="\\n\\n"),
        keycaps(*FOUR, between="<br><br>"),
        keycaps(*FOUR[:2]) + f" 3{K} {HILL}\n\n4{K} {OWL}",
        "\n\n".join(f"> {block}" for block in keycaps(*FOUR).split("\n\n")),
        f"```\n{keycaps(*FOUR)}\n```",
        "\n".join(f"> {line}" for line in keycaps(*FOUR).split("\n")),
        "\n".join(f"| {n} | {prompt} |" for n, prompt in enumerate(FOUR, 1)),
        "\n".join(f"{n}. {prompt}" for n, prompt in zip(("I", "II", "III", "IV"), FOUR, strict=True)),
        "\n".join(f"Image {n}: {prompt}" for n, prompt in enumerate(FOUR, 1)),
        "\n".join(f"Prompt {n} of 4: {prompt}" for n, prompt in enumerate(FOUR, 1)),
        "Your prompts:\n\n" + "\n\n".join(f"**Option {n}/4**\n{prompt}" for n, prompt in enumerate(FOUR, 1)),
        "Sure! Here are four prompts for your image:\n" + "\n".join(f"{n}. {p}" for n, p in enumerate(FOUR, 1)),
        keycaps(*FOUR) + "\n\n" + keycaps(*FOUR),
        "\n\n".join(f"**{n}{K} {prompt}**" for n, prompt in enumerate(FOUR, 1)),
        "\n".join(f"- **{n}{K}** _{prompt}_" for n, prompt in enumerate(FOUR, 1)),
        "\n".join(f'{n}{K} "{prompt}"' for n, prompt in enumerate(FOUR, 1)),
        "\n".join(f"{n}. {prompt}" for n, prompt in enumerate(FOUR, 1)),
        "Here are your prompts:\n" + "\n".join(f"({n}) {prompt}" for n, prompt in enumerate(FOUR, 1)),
        " ".join(f"{n}. {prompt}" for n, prompt in enumerate(FOUR, 1)),
        "\n".join(f"1. {prompt}" for prompt in FOUR),
        "\n".join(f"{n} {prompt}" for n, prompt in enumerate(FOUR, 1)),
        "\n".join(f"{letter}. {prompt}" for letter, prompt in zip("ABCD", FOUR, strict=True)),
        "\n".join(f"第{n}个：{prompt}" for n, prompt in zip("一二三四", FOUR, strict=True)),
        "\n".join(f"提示词{n}：{prompt}" for n, prompt in enumerate(FOUR, 1)),
        "\r\n".join(FOUR),
        "\r\n".join((BOAT.replace(" at dawn", "\nat dawn"), TRAM, HILL.replace(", ", ",\n"), OWL)),
        "\r\n\r\n".join((BOAT.replace(" at dawn", "\r\nat dawn"), TRAM, HILL, OWL)),
        "\n\n".join(FOUR),
        "\n".join(f"• {prompt}" for prompt in FOUR),
        f"{BOAT}\n\n" + keycaps("", *FOUR[1:])[len(f"1{K} ") :].lstrip(),
        f"2{K} {TRAM}\n\n1{K} {BOAT}\n\n4{K} {OWL}\n\n3{K} {HILL}",
        keycaps(*FOUR, "a fifth", "a sixth", "a seventh", "an eighth", "a ninth"),
    ],
)
def test_four_prompts_however_they_are_divided(text: str) -> None:
    assert parse_prompts(text) == ParsedPrompts(FOUR, None)


@pytest.mark.parametrize(
    "marks",
    [
        *("01. 02. 03. 04.", "1.) 2.) 3.) 4.)", "1-> 2-> 3-> 4->", "1/4 2/4 3/4 4/4", "(1/4) (2/4) (3/4) (4/4)"),
        *(
            "[1/4] [2/4] [3/4] [4/4]",
            "【1】 【2】 【3】 【4】",
            "<1> <2> <3> <4>",
            "{1} {2} {3} {4}",
            "〔1〕 〔2〕 〔3〕 〔4〕",
        ),
        *(":1: :2: :3: :4:", "١. ٢. ٣. ٤.", "۱- ۲- ۳- ۴-", "१. २. ३. ४.", "𝟏. 𝟐. 𝟑. 𝟒.", "Ⅰ. Ⅱ. Ⅲ. Ⅳ.", "ⓐ ⓑ ⓒ ⓓ"),
        *("🅰 🅱 🅲 🅳", "(a) (b) (c) (d)", "(i) (ii) (iii) (iv)", "1st: 2nd: 3rd: 4th:", "First: Second: Third: Fourth:"),
        *(
            "壹、 贰、 叁、 肆、",
            "其一， 其二， 其三， 其四，",
            "提示一： 提示二： 提示三： 提示四：",
            "第一条： 第二条： 第三条： 第四条：",
        ),
        *(
            "1?? 2?? 3?? 4??",
            "1\ufffd\ufffd 2\ufffd\ufffd 3\ufffd\ufffd 4\ufffd\ufffd",
            "1\ufe0f? 2\ufe0f? 3\ufe0f? 4\ufe0f?",
        ),
        *("0. 1. 2. 3.", "0\ufe0f\u20e3 1\ufe0f\u20e3 2\ufe0f\u20e3 3\ufe0f\u20e3", "~~1~~ ~~2~~ ~~3~~ ~~4~~"),
        *("№1: №2: №3: №4:", "No.1: No.2: No.3: No.4:", "プロンプト1： プロンプト2： プロンプト3： プロンプト4："),
        *(
            "第1个： 第2个： 第3个： 第4个：",
            "1번: 2번: 3번: 4번:",
            "1º 2º 3º 4º",
            "Gợi\u00a0ý\u00a01: Gợi\u00a0ý\u00a02: Gợi\u00a0ý\u00a03: Gợi\u00a0ý\u00a04:",
        ),
        *("→ → → →", "🔹 🔹 🔹 🔹", "✅ ✅ ✅ ✅"),
    ],
)
@pytest.mark.parametrize("between", ["\n", "\n\n", "\r\n", "\n\n---\n\n"])
def test_four_prompts_however_they_are_numbered(marks: str, between: str) -> None:
    text = between.join(f"{mark} {prompt}" for mark, prompt in zip(marks.split(" "), FOUR, strict=True))

    assert parse_prompts(text) == ParsedPrompts(FOUR, None)


@pytest.mark.parametrize(
    "word",
    ["Prompt", "Вариант", "Opción", "Beschreibung", "프롬프트", "Proposition", "No.", "N°", "Nr.", "Bild", "**Opis"],
)
@pytest.mark.parametrize("form", ["{} {}: {}", "{} {}. {}", "{} #{}: {}", "{} {}\u00a0: {}", "- {} {} – {}"])
def test_a_number_behind_a_word_of_any_language_is_a_mark(word: str, form: str) -> None:
    text = "\n\n".join(form.format(word, number, prompt) for number, prompt in enumerate(FOUR, 1))

    assert parse_prompts(text) == ParsedPrompts(FOUR, None)


@pytest.mark.parametrize(
    "form",
    [
        "'{}'",
        '"{}",',
        "[{}]",
        "“{}”;",
        "‘{}’",
        "/imagine prompt: {}",
        "/imagine {}",
        "/imagine prompt:{}",
        "Prompt: {}",
        "提示词：{}",
    ],
)
def test_what_stands_around_a_prompt_is_no_part_of_it(form: str) -> None:
    assert parse_prompts(keycaps(*map(form.format, FOUR))) == ParsedPrompts(FOUR, None)


@pytest.mark.parametrize(
    "note",
    [
        "Let me know if you want more variations!",
        "*Feel free to use any of these.*",
        "Enjoy!",
        "如需更多，请告诉我。",
        "I hope this helps.",
    ],
)
@pytest.mark.parametrize("between", ["\n\n", "\n \n\n", "\r\n\r\n", "\n\n---\n"])
def test_a_closing_note_is_no_part_of_the_last_prompt(note: str, between: str) -> None:
    assert parse_prompts(keycaps(*FOUR) + between + note) == ParsedPrompts(FOUR, None)
    assert parse_prompts("\n\n".join(f"{one} --ar 3:2" for one in FOUR) + between + note) == ParsedPrompts(FOUR, "3:2")


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        (f"2{K} {TRAM}\n\n3{K} {HILL}\n\n4{K} {OWL}", FOUR[1:]),
        (f"2. {TRAM}\n3. {HILL}\n4. {OWL}", FOUR[1:]),
        (f"at dawn\n\n2{K} {TRAM}\n\n3{K} {HILL}", ("at dawn", TRAM, HILL)),
        (f"Your prompts:\n\n2{K} {TRAM}\n\n3{K} {HILL}", (TRAM, HILL)),
        (f"1{K} {BOAT}\n\n1{K} {TRAM}\n\n2{K} {HILL}", (BOAT, TRAM, HILL)),
        (f"1{K} a sign with a 2{K} on it\n\n2{K} {TRAM}", (f"a sign with a 2{K} on it", TRAM)),
        (f"1{K} 2 boats\n3 oars\n\n2{K} 3. Stock", ("2 boats 3 oars", "3. Stock")),
        ("1. 16:9 frame\n2. 2 boats\n3. 35mm film\n4. Nr. 5", ("16:9 frame", "2 boats", "35mm film", "Nr. 5")),
        (f"1. a door with a ① on it\n2. {TRAM}", ("a door with a ① on it", TRAM)),
        (f"1{K} \x00a \ud83dboat\u202e", ("a boat",)),
        (f"1{K} 👩‍🎨 at work ❤️, می‌خواهم", ("👩‍🎨 at work ❤️, می‌خواهم",)),
        (f"1{K} see <https://x.example/a>, red https://x.example/b", ("see, red",)),
        (f"1{K} by [**tom** whalen](https://x.example/a_b) *softly*", ("by tom whalen softly",)),
        (f"1{K} snake_case, 2 * 3 and 5 *", ("snake_case, 2 * 3 and 5",)),
        (f"{BOAT}\nin a storm --ar 3:2\n{TRAM} --ar 3:2", (f"{BOAT} in a storm", TRAM)),
        (f"Prompts:\n{BOAT} --ar 3:2\n\n{TRAM} --ar 3:2", (BOAT, TRAM)),
        (f"1{K} {BOAT}\n\n{TRAM}\n\n3{K} {HILL}\n\n4{K} {OWL}", FOUR),
        (f"1{K} {BOAT}\n\n{TRAM}\n\n{HILL}\n\n4{K} {OWL}", FOUR),
        (f"1. a sign with ① and ② on it\n2. {TRAM}\n3. {HILL}\n4. {OWL}", ("a sign with ① and ② on it", *FOUR[1:])),
        ("\r\n".join([*FOUR, "a fifth of these descriptions"]), FOUR),
        ("\n".join(f'{n},"{prompt}"' for n, prompt in enumerate(FOUR, 1)), FOUR),
        (f"Here are two prompts:\n1. {BOAT}\n2. {TRAM}", (BOAT, TRAM)),
        (f"Three descriptions:\n\n1) {BOAT}\n2) {TRAM}\n3) {HILL}", FOUR[:3]),
        (f"1{K} a boat\nlet me know, says a sign", ("a boat let me know, says a sign",)),
        (
            "1. first\n2. a row: one: two: three\n3. 3/4 view\n4. 1/2",
            ("first", "a row: one: two: three", "3/4 view", "1/2"),
        ),
    ],
)
def test_no_prompt_and_no_word_is_dropped(text: str, prompts: tuple[str, ...]) -> None:
    parsed = parse_prompts(text)
    assert parsed is not None
    assert parsed.prompts == prompts


@pytest.mark.parametrize(
    ("block", "prompt", "aspect_ratio"),
    [
        ("a boat --ar 3:2, at dawn", "a boat, at dawn", "3:2"),
        ("--ar 3:2 a boat", "a boat", "3:2"),
        ("a boat --ar 3:2 in the rain --v 6", "a boat in the rain", "3:2"),
        ("a boat (--ar 3:2).", "a boat", "3:2"),
        ("a boat（－－ａｒ　１６：９）", "a boat", "16:9"),
        ("a boat —ar 3 : 2。", "a boat", "3:2"),
        ("a boat -ar 3:2", "a boat", "3:2"),
        ("a boat -- ar 3:2", "a boat", "3:2"),
        ("a boat --aspect-ratio 16/9", "a boat", "16:9"),
        ('a boat --ar "3:2"', "a boat", "3:2"),
        ("a boat --ar 3-2", "a boat", "3:2"),
        ("a boat --ar 03:02", "a boat", "3:2"),
        ("a boat --ar 2,35:1 --q 0,5", "a boat", "2.35:1"),
        ("a boat - -ar 3:2 - -v 6", "a boat", "3:2"),
        ('"a boat --ar 3:2"', "a boat", "3:2"),
        ("a boat --ar 0.5:1", "a boat", "0.5:1"),
        ("a boat.—ar 3:2", "a boat.", "3:2"),
        ("a boat --ar 3:2 --ar 4:5", "a boat", "4:5"),
        ("a boat --style raw in the rain", "a boat in the rain", None),
        ("a boat --sref random --oref https://x.example/a.png --ow 100", "a boat", None),
        ("a boat --p m7268 abc1234 --exp 20", "a boat", None),
        ("a boat —v 6 —tile", "a boat", None),
        ("a boat--tile --ar 3:2", "a boat", "3:2"),
        ("a boat --profile abcdefg hijklmn --ar 3:2", "a boat", "3:2"),
        ("a heart ❤️", "a heart ❤️", None),
        ("cut glass--tile", "cut glass--tile", None),
        ("a boat --unknown --other 12", "a boat", None),
        ("a boat—ar 3", "a boat—ar 3", None),
        ("a boat—ar wide", "a boat—ar wide", None),
        ("cut—and dried", "cut—and dried", None),
        ("cut--and dried", "cut--and dried", None),
        ("一只猫——安静", "一只猫——安静", None),
        ("a floor —tile", "a floor —tile", None),
        ("a co-ar 3:2 grid", "a co-ar 3:2 grid", None),
        ("a boat - no people", "a boat - no people", None),
        ("a boat —no people", "a boat —no people", None),
        ("a --bold statement in the middle", "a --bold statement in the middle", None),
        ("an ar 3:2 frame, 16:9", "an ar 3:2 frame, 16:9", None),
    ],
)
def test_parameters_and_prose(block: str, prompt: str, aspect_ratio: str | None) -> None:
    assert parse_prompts(keycaps(block)) == ParsedPrompts((prompt,), aspect_ratio)


@pytest.mark.parametrize(
    "text",
    [
        json.loads((CASES / "sen01_pending_moderation.json").read_text(encoding="utf-8"))["prompt_of_every_task"],
        json.loads((CASES / "sen03_unknown_sentence.json").read_text(encoding="utf-8"))["prompt_of_every_task"],
        "Could not fetch image. Received status code 403",
        "Could not fetch image.\nReceived status code 403",
        "Could not fetch image.\r\nReceived status code 403",
        "You have a pending moderation message.\r\nPlease acknowledge it before using the bot further.",
        "**Pending moderation**\n\nYou have a pending moderation message.\n\nAcknowledge it.\n\nThank you very much.",
        "- Your subscription has ended\n- Please renew it",
        "A sentence of a new kind.",
        "A sentence of a new kind.\nAnd another one.",
        "您有一条待处理的审核消息。",
        "You cannot do this:\n1. Open the link\n2. Solve the captcha\n3. Come back here\n4. Describe it again",
        "Image 2 of 4 failed. Step 3. was skipped.",
        "Your prompts failed for these reasons:\n1. The link is broken\n2. The account is closed",
        "Step 1/3 failed. Step 2/3 was skipped.",
        "<html><body><h1>502 Bad Gateway</h1><p>nginx</p></body></html>",
        "{'code': 24, 'description': 'may contain banned words'}",
        "Error: ['Invalid image']",
        "Something went wrong.\n---\nTry again later.",
    ],
)
def test_sentences_are_no_prompts(text: str) -> None:
    assert parse_prompts(text) is None
