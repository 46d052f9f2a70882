"""Captions beside the pictures: each picture its own, and no file of a person's is ever touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from airflow_midjourney.describe.model.status import BotType, Status
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from demo.captions import RECORD, write_captions
from demo.photo_folder import PhotoFolder, PhotosError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "My Pictures ü" / "deep").mkdir(parents=True)
    return tmp_path / "My Pictures ü"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    database = open_database(f"sqlite:///{tmp_path}/image_prompts.sqlite")
    ensure_tables(database)
    database.close()
    return tmp_path / "image_prompts.sqlite"


def describe(folder: Path, table: Path, *names: str, prompt: str = "a cat") -> None:
    """Put pictures into the folder, and their prompts into the table."""
    pictures = PhotoFolder(folder).pictures
    database = open_database(f"sqlite:///{table}")
    with database.writing() as tx:
        for name in names:
            (folder / name).write_bytes(b"picture")
            tx.connection.execute(
                insert(tx.tables.images).values(
                    image_uri=f"s3://{pictures.bucket}/{pictures.prefix}{name}",
                    bucket=pictures.bucket,
                    key=f"{pictures.prefix}{name}",
                    image_version="1",
                    is_current=True,
                    bot_type=BotType.MID_JOURNEY,
                    status=Status.SUCCEEDED,
                    content_sha256=b"the same".hex(),
                    prompt_1=prompt,
                    created_at=tx.now,
                    updated_at=tx.now,
                )
            )
    database.close()


def describe_again(table: Path, prompt: str) -> None:
    database = open_database(f"sqlite:///{table}")
    with database.writing() as tx:
        tx.connection.execute(update(tx.tables.images).values(prompt_1=prompt))
    database.close()


def captions(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*.txt"))}


def test_each_picture_gets_a_caption_under_its_own_name(folder: Path, table: Path) -> None:
    names = ("a.jpg", "Käffchen, groß #1 100%.PNG", "deep/.b.c.jpeg", f"{'x' * 240}.webp")
    describe(folder, table, *names)

    outcome = write_captions(PhotoFolder(folder), table, is_play=True)

    expected = {"a.txt", "Käffchen, groß #1 100%.txt", "deep/.b.c.txt", f"{'x' * 240}.txt"}
    assert captions(folder) == dict.fromkeys(sorted(expected), "a cat\n")
    assert outcome.written == 4
    assert not list(folder.rglob("*.part"))


def test_a_second_export_changes_nothing_and_a_new_answer_replaces_our_own_caption(folder: Path, table: Path) -> None:
    describe(folder, table, "a.jpg")
    photos = PhotoFolder(folder)
    write_captions(photos, table, is_play=False)
    record = (folder / RECORD).read_bytes()

    assert write_captions(photos, table, is_play=False).unchanged == 1
    assert (folder / RECORD).read_bytes() == record
    describe_again(table, "a dog")
    assert write_captions(photos, table, is_play=False).written == 1
    assert captions(folder) == {"a.txt": "a dog\n"}


@pytest.mark.parametrize("edited", [False, True], ids=["written by a person", "edited by a person"])
def test_a_person_s_caption_stays_and_is_named(folder: Path, table: Path, *, edited: bool) -> None:
    describe(folder, table, "a.jpg", "b.jpg")
    photos = PhotoFolder(folder)
    if edited:
        write_captions(photos, table, is_play=False)
        describe_again(table, "a dog")
    (folder / "a.txt").write_text("mine")

    outcome = write_captions(photos, table, is_play=False)

    assert captions(folder) == {"a.txt": "mine", "b.txt": "a dog\n" if edited else "a cat\n"}
    assert outcome.kept == ["a.txt"]


def test_a_link_and_a_folder_in_the_place_of_a_caption_stay(folder: Path, table: Path) -> None:
    describe(folder, table, "a.jpg", "b.jpg")
    (folder / "a.txt").symlink_to(folder / "nowhere.txt")
    (folder / "b.txt").mkdir()

    outcome = write_captions(PhotoFolder(folder), table, is_play=False)

    assert outcome.kept == ["a.txt", "b.txt"]
    assert not (folder / "nowhere.txt").exists()


def test_pictures_that_would_share_a_caption_are_named(folder: Path, table: Path) -> None:
    describe(folder, table, "a.jpg", "a.png", "b.jpg")

    outcome = write_captions(PhotoFolder(folder), table, is_play=False)

    assert outcome.collisions == ["a.png"]
    assert sorted(captions(folder)) == ["a.txt", "b.txt"]


def test_the_simulator_s_captions_give_way_to_real_ones_and_never_the_other_way_round(
    folder: Path, table: Path
) -> None:
    describe(folder, table, "a.jpg")
    photos = PhotoFolder(folder)
    write_captions(photos, table, is_play=True)
    describe_again(table, "a real cat")
    assert write_captions(photos, table, is_play=False).written == 1
    describe_again(table, "made up")

    outcome = write_captions(photos, table, is_play=True)

    assert captions(folder) == {"a.txt": "a real cat\n"}
    assert outcome.kept == ["a.txt"]


def test_a_picture_that_is_gone_and_one_that_trainers_do_not_read_are_counted(folder: Path, table: Path) -> None:
    describe(folder, table, "a.jpg", "b.heic")
    (folder / "a.jpg").unlink()

    outcome = write_captions(PhotoFolder(folder), table, is_play=False)

    assert captions(folder) == {}
    assert (outcome.gone, outcome.left_out) == (1, {"unsupported": 1})


@pytest.mark.parametrize("record", ["{", "[]", '{"a.txt": {"sha": 1}}'])
def test_a_record_that_is_broken_is_a_plain_sentence_and_nothing_is_written(
    folder: Path, table: Path, record: str
) -> None:
    describe(folder, table, "a.jpg")
    (folder / RECORD).write_text(record)

    with pytest.raises(PhotosError, match="move it away"):
        write_captions(PhotoFolder(folder), table, is_play=False)

    assert captions(folder) == {}


def test_a_folder_that_cannot_be_written_is_a_plain_sentence(
    folder: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(folder, table, "a.jpg")
    # Root may write to every folder; no user writes more than the disk has room for.
    monkeypatch.setattr("demo.captions._beside", lambda path: Path("/dev/full"))

    with pytest.raises(PhotosError, match="cannot be written: No space left on device"):
        write_captions(PhotoFolder(folder), table, is_play=False)


def test_the_record_says_which_files_are_ours(folder: Path, table: Path) -> None:
    describe(folder, table, "deep/ü.jpg")
    write_captions(PhotoFolder(folder), table, is_play=True)

    record = json.loads((folder / RECORD).read_text())

    assert list(record) == ["deep/ü.txt"]
    assert record["deep/ü.txt"]["is_play"] is True
