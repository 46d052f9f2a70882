"""Which prompts are taken, and which images are left out."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.exports.formats.as_kohya import Format as Kohya
from airflow_midjourney.describe.exports.selection import Choice, LeftOut, Prompt, is_refusal
from airflow_midjourney.describe.exports.splits import read_splits
from airflow_midjourney.describe.model.errors import SettingsError
from tests.support.described import PROMPTS, described, export_to, failed, fill, plan
from tests.support.kohya import _choices

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_midjourney.describe.table.database import Database


def texts(folder: Path) -> list[str]:
    lines = (folder / "train/metadata.jsonl").read_text("utf-8").split("\n")[:-1]
    return [json.loads(line)["text"] for line in lines]


@pytest.mark.parametrize(("prompt", "text"), [("first", PROMPTS[0]), ("longest", PROMPTS[2]), ("all", PROMPTS[0])])
def test_which_prompt(prompt: str, text: str, database: Database, tmp_path: Path) -> None:
    fill(database, [described("a.jpg")])
    folder, report = export_to(tmp_path, database, plan("imagefolder", prompt=prompt))
    assert texts(folder) == [text]
    assert report.captions == (4 if prompt == "all" else 1)


def test_a_random_prompt_is_the_same_for_the_same_bytes_and_seed(
    sqlite_place: Any, database: Database, tmp_path: Path
) -> None:
    fill(database, [described(f"{n:03}.jpg") for n in range(200)])
    fill(database, [described("twin.jpg", body="000.jpg")])
    chosen = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        wanted = plan("imagefolder", prompt="random", seed=seed, deduplicate=False)
        chosen[name] = texts(export_to(tmp_path / name, database, wanted)[0])
    assert chosen["one"] == chosen["again"] != chosen["other"]
    assert chosen["one"][0] == chosen["one"][-1]
    assert min(Counter(chosen["one"]).values()) > 25


def test_what_is_not_worth_training_on_is_left_out_and_counted(database: Database, tmp_path: Path) -> None:
    fill(
        database,
        [
            described("good.jpg"),
            described("good-later.jpg", ["..", "I'm sorry, I can't describe this.", "a boat"]),
            described("near-empty.jpg", ["..", "-", "a"]),
            described(
                "refused.jpg", ["I cannot help with that image.", "Sorry! This goes against our content policy."]
            ),
            described("twin.jpg", body="good.jpg"),
            failed("failed.jpg"),
        ],
    )
    folder, report = export_to(tmp_path, database, plan("imagefolder", wanted={"statuses": ()}))
    assert sorted(texts(folder)) == ["a boat", PROMPTS[0]]
    assert {reason.value: number for reason, number in report.left_out.items()} == {
        "near_empty": 1,
        "refused": 1,
        "duplicate": 1,
        "no_prompts": 1,
    }
    assert report.rows == report.exported + report.left_out.total() == 6


@pytest.mark.parametrize(
    "text", ["I can't see an image", "I’m sorry, but no", "As an AI I do not", "Banned prompt detected"]
)
def test_sentences_of_models_are_refusals(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text", ["a sorry dog in the rain", "an AI robot", "I love you sign, neon", "unfortunate boat"]
)
def test_prompts_are_not(text: str) -> None:
    assert not is_refusal(text)


BLOCKED_SCREENS = [
    "a phone on a desk, its screen says that your account is locked, soft light",
    "YOU ARE BANNED in red neon over the door of a club",
    "poster of the community guidelines, content policy, bold letters",
    "一块写着账号已被封禁的屏幕",
]


@pytest.mark.parametrize("prompt", ["first", "longest", "all"])
def test_an_image_of_a_complaint_is_no_complaint_where_four_prompts_tell_of_it(
    prompt: str, database: Database, tmp_path: Path
) -> None:
    fill(database, [described("four.jpg", BLOCKED_SCREENS), described("one.jpg", ["Your account is locked."])])
    folder, report = export_to(tmp_path, database, plan("imagefolder", prompt=prompt))

    assert texts(folder) == [max(BLOCKED_SCREENS, key=len) if prompt == "longest" else BLOCKED_SCREENS[0]]
    assert (report.exported, dict(report.left_out)) == (1, {"refused": 1})
    assert report.captions == (4 if prompt == "all" else 1)


def test_splits_are_by_content_and_of_the_size_that_was_asked_for(database: Database, tmp_path: Path) -> None:
    rows = [described(f"{n:04}.jpg") for n in range(600)]
    fill(database, [*rows, *(described(f"twin/{n:04}.jpg", body=f"{n:04}.jpg") for n in range(100))])
    splits = {"train": 0.8, "validation": 0.2}

    wanted = plan("csv", splits=splits, deduplicate=False)
    folder, report = export_to(tmp_path, database, wanted)

    assert report.splits.total() == 700
    assert 0.7 < report.splits["train"] / 700 < 0.9
    where: dict[str, set[str]] = {}
    for name in splits:
        for line in (folder / f"{name}.csv").read_text("utf-8-sig").splitlines()[1:]:
            where.setdefault(line.split(",")[0].rpartition("/")[2], set()).add(name)
    assert len(where) == 600
    assert {len(names) for names in where.values()} == {1}


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": 0.5, "validation": 0.4}, "add up to 0.9"),
        ({"train": 1.5}, "must be above 0 and at most 1"),
        ({"train": "half"}, "must be above 0 and at most 1"),
        ({"../x": 1.0}, "no name of a split"),
        ("a/b", "no name of a split"),
        ({}, "add up to 0"),
    ],
)
def test_splits_that_make_no_sense_are_refused(splits: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_splits(splits)


@pytest.mark.parametrize(
    "options",
    [{"extension": "txt"}, {"extension": "../x"}, {"extension": ".jpg"}, {"extension": 1}, {"wildcard": "yes"}],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="format_options"):
        Kohya(**options)


@given(st.lists(st.text(st.sampled_from("ab{}|⦅⦆ \u2028"), max_size=12), min_size=1, max_size=4))
@settings(max_examples=300)
def test_the_trainer_reads_what_was_written_whatever_the_braces(lines: list[str]) -> None:
    image: Any = type("Image", (), {"prompts": tuple(lines), "content_sha256": "x"})
    captions = Choice(Prompt.ALL, min_letters=1).captions(image)
    if isinstance(captions, LeftOut):
        return
    written = Kohya(wildcard=True).text(captions.texts)
    assert _choices("\n".join(line.strip() for line in written.split("\n") if line.strip()), wildcard=True) == list(
        captions.texts
    )
    assert Kohya().text(captions.texts) == f"{captions.texts[0]}\n"
