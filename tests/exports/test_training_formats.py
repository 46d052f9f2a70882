"""WebDataset, JSONL and Label Studio as the programs of their users read them, compared with the table."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import datasets
import pytest
import webdataset
from PIL import Image

from airflow_midjourney.describe.exports.format import load_format
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.storage.objects import ImageStore
from tests.support.described import (
    BUCKET,
    NASTY_KEYS,
    PROMPTS,
    described,
    export_to,
    fill,
    plan,
    store_nasty_keys,
)
from tests.support.images import jpeg
from tests.support.labelstudio import Project

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database

SPLITS = {"train": 0.6, "validation": 0.4}


@pytest.fixture
def stored(database: Database, s3: S3Client, bucket: str) -> list[dict[str, Any]]:
    """Rows of images that are in S3, in the order of their keys."""
    return store_nasty_keys(database, s3, bucket)


def samples_of(folder: Path, pattern: str = "*.tar") -> list[dict[str, Any]]:
    """Read shards as a trainer does."""
    shards = [str(path) for path in sorted(folder.glob(pattern))]
    return list(webdataset.WebDataset(shards, shardshuffle=False).decode("pil"))


def captions_of(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Give the first prompts as an export writes them."""
    return [" ".join(row["prompt_1"].split()) for row in rows]


def test_webdataset_gives_every_image_with_its_text(
    database: Database, stored: list[dict[str, Any]], s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    wanted = plan("webdataset", scope=Scope(bucket, ("in/",)), prompt="all", options={"shard_samples": 5})

    folder, report = export_to(tmp_path, database, wanted, images=ImageStore(s3, name="aws"))

    samples = samples_of(folder)
    assert report.exported == len(NASTY_KEYS) == len(samples) == len({sample["__key__"] for sample in samples})
    assert [sample["txt"] for sample in samples] == captions_of(stored)
    assert [sample["json"]["image_uri"] for sample in samples] == [row["image_uri"] for row in stored]
    assert [sample["json"]["content_sha256"] for sample in samples] == [row["content_sha256"] for row in stored]
    assert {tuple(sample["json"]["prompts"][1:]) for sample in samples} == {PROMPTS[1:]}
    assert {sample["jpg"].size for sample in samples} == {(16, 16)}
    assert len(list(folder.glob("train-00000?.tar"))) == 4


def test_webdataset_images_are_the_bytes_that_were_described(
    database: Database, stored: list[dict[str, Any]], s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    wanted = plan("webdataset", scope=Scope(bucket, ("in/",)))

    folder, _ = export_to(tmp_path, database, wanted, images=ImageStore(s3, name="aws"))

    with tarfile.open(folder / "train-000000.tar") as tar:
        bodies = [tar.extractfile(member).read() for member in tar if member.name.endswith(".jpg")]
    assert bodies == [s3.get_object(Bucket=bucket, Key=row["key"])["Body"].read() for row in stored]


def test_hugging_face_reads_the_shards_of_each_split(
    database: Database, stored: list[dict[str, Any]], s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    wanted = plan("webdataset", scope=Scope(bucket, ("in/",)), splits=SPLITS)

    folder, report = export_to(tmp_path / "out", database, wanted, images=ImageStore(s3, name="aws"))

    loaded = datasets.load_dataset("webdataset", data_dir=str(folder), cache_dir=str(tmp_path / "cache"))
    assert {name: len(loaded[name]) for name in loaded} == dict(report.splits)
    assert sorted(row["txt"] for name in loaded for row in loaded[name]) == sorted(captions_of(stored))


def test_dots_and_slashes_of_keys_part_no_sample_and_join_none(database: Database, tmp_path: Path) -> None:
    keys = ["in/a.b/c.d.e.jpg", "in/a.b/c.jpg", "in/a/b.c.JPG", "in/a%2Eb.jpg", "in/a.b.jpg", "in/b..jpg", "in/c.v1.5"]
    fill(database, [described(key, [f"the boat of {key}"]) for key in keys])

    folder, _ = export_to(tmp_path, database, plan("webdataset"))

    samples = samples_of(folder)
    assert {sample["txt"]: sample["json"]["image_uri"] for sample in samples} == {
        f"the boat of {key}": f"s3://{BUCKET}/{key}" for key in keys
    }
    assert {name for sample in samples for name in sample if not name.startswith("__")} == {"txt", "json"}


def test_two_images_of_one_name_are_never_one_sample(database: Database, tmp_path: Path) -> None:
    fill(database, [described("in/a.jpg"), described("in/a.png", media_type="image/png")])

    with pytest.raises(SettingsError, match=r"in/a\.jpg.*in/a\.png"):
        export_to(tmp_path / "refused", database, plan("webdataset"))
    folder, _ = export_to(tmp_path / "renamed", database, plan("webdataset", on_collision="rename"))

    assert len(samples_of(folder)) == 2


def test_no_shard_is_larger_than_was_said(database: Database, s3: S3Client, bucket: str, tmp_path: Path) -> None:
    rows = []
    for number in range(12):
        # What cannot be compressed: 0.4 MB each, and one that is larger than a shard may be.
        image = Image.effect_noise((700, 700) if number != 5 else (1500, 1500), 90)
        image.save(buffer := io.BytesIO(), "PNG")
        key = f"in/{number:02}.png"
        etag = s3.put_object(Bucket=bucket, Key=key, Body=buffer.getvalue())["ETag"].strip('"')
        rows.append(described(key, bucket=bucket, image_version=etag, etag=etag, media_type="image/png"))
    fill(database, rows)
    wanted = plan("webdataset", scope=Scope(bucket, ("in/",)), options={"shard_megabytes": 1})

    folder, _ = export_to(tmp_path, database, wanted, images=ImageStore(s3, name="aws"))

    shards = sorted(folder.glob("*.tar"))
    assert len(samples_of(folder)) == 12
    # The end of a tar is filled up to ten kilobytes.
    too_large = [shard for shard in shards if shard.stat().st_size > 1_000_000 + tarfile.RECORDSIZE]
    assert [len(samples_of(folder, shard.name)) for shard in too_large] == [1]
    assert len(shards) > 3


def test_the_same_rows_give_the_same_shards(
    database: Database, stored: list[dict[str, Any]], s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    wanted, images = plan("webdataset", scope=Scope(bucket, ("in/",)), splits=SPLITS), ImageStore(s3, name="aws")
    contents = []
    for name in ("one", "other"):
        folder, _ = export_to(tmp_path / name, database, wanted, images=images, writer=name)
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})

    assert contents[0] == contents[1]
    assert len(contents[0]) == 2


def test_an_image_that_is_gone_is_left_out_of_the_shards(
    database: Database, stored: list[dict[str, Any]], s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    s3.delete_object(Bucket=bucket, Key=stored[3]["key"])
    s3.put_object(Bucket=bucket, Key=stored[4]["key"], Body=jpeg(99, size=16))
    wanted = plan("webdataset", scope=Scope(bucket, ("in/",)))

    folder, report = export_to(tmp_path, database, wanted, images=ImageStore(s3, name="aws"))

    assert report.to_json()["left_out"] == {"vanished": 2}
    assert len(samples_of(folder)) == len(NASTY_KEYS) - 2


@pytest.mark.parametrize("content", ["parts", "text"])
def test_each_line_of_jsonl_is_a_conversation_about_an_image(
    content: str, database: Database, stored: list[dict[str, Any]], s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    options = {"content": content, "question": "What is this?"}
    wanted = plan("jsonl", scope=Scope(bucket, ("in/",)), prompt="all", options=options)

    folder, report = export_to(tmp_path / "out", database, wanted, images=ImageStore(s3, name="aws"))

    loaded = datasets.load_dataset(
        "json", data_files=str(folder / "prompts.jsonl"), cache_dir=str(tmp_path / "cache"), split="train"
    )
    assert len(loaded) == report.captions == 4 * len(NASTY_KEYS)
    for row, line in zip([row for row in stored for _ in range(4)], loaded, strict=True):
        asked, answered = line["messages"]
        assert (asked["role"], answered["role"], line["image_uri"]) == ("user", "assistant", row["image_uri"])
        assert _text(asked["content"]) == "<image>What is this?"
        with Image.open(folder / line["images"][0]) as image:
            assert image.size == (16, 16)
    answers = [_text(line["messages"][1]["content"]) for line in loaded]
    assert answers[::4] == captions_of(stored)
    assert answers[1:4] == list(PROMPTS[1:])


def test_a_caption_of_plain_text_asks_for_no_further_image(database: Database, tmp_path: Path) -> None:
    fill(database, [described("in/a.jpg", ("a sign that reads <image> and <video>",))])

    folder, _ = export_to(tmp_path / "out", database, plan("jsonl", options={"content": "text"}))

    (line,) = map(json.loads, (folder / "prompts.jsonl").read_text().splitlines())
    asked, answered = line["messages"]
    assert (asked["content"].count("<image>"), answered["content"]) == (1, "a sign that reads image and video")


def _text(content: str | list[dict[str, str]]) -> str:
    """Give what a chat template makes of a message."""
    if isinstance(content, str):
        return content
    return "".join("<image>" if part["type"] == "image" else part["text"] for part in content)


def test_a_line_can_name_its_image_where_it_was_described(database: Database, tmp_path: Path) -> None:
    fill(database, [described("in/a.jpg"), described("in/sub/b.png")])

    folder, _ = export_to(tmp_path, database, plan("jsonl", options={"reference": "uri"}))

    lines = [json.loads(line) for line in (folder / "prompts.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["images"] for line in lines] == [["s3://photos/in/a.jpg"], ["s3://photos/in/sub/b.png"]]


def test_label_studio_takes_every_task_with_our_prompts(
    database: Database, stored: list[dict[str, Any]], bucket: str, tmp_path: Path
) -> None:
    wanted = plan("labelstudio", scope=Scope(bucket, ("in/",)), prompt="all", options={"tasks_per_file": 7})

    folder, _ = export_to(tmp_path, database, wanted)

    project = Project((folder / "label_config.xml").read_text("utf-8"))
    files = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("tasks-*.json"))]
    tasks = [task for file in files for task in file]
    for task in tasks:
        project.check(task)
    assert [len(file) for file in files] == [7, 7, 4]
    assert [task["data"]["image"] for task in tasks] == [row["image_uri"] for row in stored]
    predicted = [[prediction["result"][0]["value"]["text"] for prediction in task["predictions"]] for task in tasks]
    assert predicted == [[[caption], *([text] for text in PROMPTS[1:])] for caption in captions_of(stored)]


def test_label_studio_can_serve_copies_of_the_images(
    database: Database, stored: list[dict[str, Any]], s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    wanted = plan("labelstudio", scope=Scope(bucket, ("in/",)), splits=SPLITS, options={"image_root": "/data/?d="})

    folder, report = export_to(tmp_path, database, wanted, images=ImageStore(s3, name="aws"))

    for split, number in report.splits.items():
        tasks = json.loads((folder / f"{split}-000000.json").read_text("utf-8"))
        assert len(tasks) == number
        assert all((folder / task["data"]["image"].removeprefix("/data/?d=")).is_file() for task in tasks)


@pytest.mark.parametrize("kind", ["webdataset", "jsonl", "labelstudio"])
def test_an_export_of_nothing_is_published(kind: str, database: Database, tmp_path: Path) -> None:
    folder, report = export_to(tmp_path, database, plan(kind, scope=Scope(BUCKET, ("none/",))))

    assert report.exported == 0
    assert (tmp_path / "latest.json").is_file()
    assert list(folder.glob("*.tar")) == list(folder.glob("*.json")) == []


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("webdataset", {"shard_samples": 0}, "shard_samples must be 1 to 1,000,000, not 0"),
        ("webdataset", {"shard_megabytes": "1"}, "shard_megabytes must be 1 to 100,000, not '1'"),
        ("jsonl", {"content": "xml"}, "content must be one of parts, text, not 'xml'"),
        ("jsonl", {"reference": 1}, "reference must be one of file, uri, not 1"),
        ("jsonl", {"question": "What is <image>?"}, "question must be text without <image>"),
        ("jsonl", {"question": "Hear <audio>!"}, "question must be text without <image>"),
        ("jsonl", {"question": " "}, "question must be text without <image>"),
        ("labelstudio", {"tasks_per_file": 0}, "tasks_per_file must be 1 to 100,000, not 0"),
        ("labelstudio", {"image_root": None}, "image_root must be text, not None"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_format(kind, options)
