"""A folder of one's own is shown by S3 as it is, whatever is in it, and nothing of it is copied."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
import uvicorn
from botocore.exceptions import ClientError

from airflow_midjourney.describe.model.errors import ImageRejectedError
from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.describe.storage.suffixes import DEFAULT_SUFFIXES
from demo.folder_store import FolderStore
from demo.photo_folder import PhotoFolder, PhotosError, open_photos
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

NAMES = (
    "a.jpg",
    "Urlaub ü/Käffchen, groß.PNG",
    "Urlaub ü/deep/cat#1 100% +&=?.jpg",
    "z'; drop\ttable.webp",
    "notes.txt",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "My Pictures ü"
    for number, name in enumerate(NAMES):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number))
    (root / ".thumbnails").mkdir()
    (root / ".thumbnails" / "a.jpg").write_bytes(jpeg(99))
    (root / "loop").symlink_to(root)
    (root / "dangling.jpg").symlink_to(root / "nowhere.jpg")
    (root / "linked.jpg").symlink_to(root / "a.jpg")
    os.mkfifo(root / "pipe.jpg")
    Path(os.fsdecode(os.fsencode(root) + b"/not-utf-8-\xff.jpg")).write_bytes(jpeg(98))
    return root


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    """The address of a server that shows the folder."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(FolderStore(open_photos(str(folder)), "reader"), log_level="warning", lifespan="off")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    running.should_exit = True
    thread.join()


def client(server: str, login: str = "reader") -> S3Client:
    return boto3.client(
        "s3", endpoint_url=server, aws_access_key_id=login, aws_secret_access_key="x", region_name="us-east-1"
    )


def test_every_file_is_listed_once_in_s3_s_order_and_read_as_it_is(folder: Path, server: str) -> None:
    pictures = PhotoFolder(folder).pictures
    store = ImageStore(client(server), name="folder")

    listed, after, pages = [], "", 0
    while True:
        page = store.list_page(
            pictures.bucket, pictures.prefix, continuation=after, suffixes=DEFAULT_SUFFIXES, page_size=2
        )
        listed += page.images
        pages += 1
        if page.is_last:
            break
        after = page.continuation

    names = [pictures.name(image.key) for image in listed]
    assert names == sorted([*(name for name in NAMES if name != "notes.txt"), "linked.jpg"], key=str.encode)
    assert pages > 2
    for image in listed:
        assert store.read(image).body == (folder / pictures.name(image.key)).read_bytes()
        assert store.look_up(image.bucket, image.key) == image


def test_a_file_that_changes_is_another_version_and_one_that_goes_is_missing(folder: Path, server: str) -> None:
    pictures = PhotoFolder(folder).pictures
    store = ImageStore(client(server), name="folder")
    image = store.look_up(pictures.bucket, f"{pictures.prefix}a.jpg")
    (folder / "a.jpg").write_bytes(jpeg(7, size=80))

    with pytest.raises(ImageRejectedError) as replaced:
        store.read(image)
    (folder / "a.jpg").unlink()
    with pytest.raises(ImageRejectedError) as missing:
        store.read(image)

    assert (replaced.value.reason, missing.value.reason) == ("replaced", "missing")


@pytest.mark.parametrize("key", ["../outside.jpg", ".thumbnails/a.jpg", "deep//a.jpg", "pipe.jpg", "nothing.jpg"])
def test_nothing_outside_the_folder_and_nothing_hidden_is_read(folder: Path, server: str, key: str) -> None:
    (folder.parent / "outside.jpg").write_bytes(jpeg(1))
    pictures = PhotoFolder(folder).pictures

    with pytest.raises(ClientError, match="NoSuchKey"):
        client(server).get_object(Bucket=pictures.bucket, Key=pictures.prefix + key)


def test_no_other_user_of_the_machine_reads_it_and_nothing_is_written(folder: Path, server: str) -> None:
    pictures = PhotoFolder(folder).pictures

    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        client(server, "another").list_objects_v2(Bucket=pictures.bucket)
    with pytest.raises(ClientError, match="AccessDenied"):
        client(server).put_object(Bucket=pictures.bucket, Key=f"{pictures.prefix}a.jpg", Body=b"mine")
    with pytest.raises(ClientError, match="AccessDenied"):
        client(server).delete_object(Bucket=pictures.bucket, Key=f"{pictures.prefix}a.jpg")

    assert (folder / "a.jpg").read_bytes() == jpeg(0)


def test_what_is_passed_over_is_counted(folder: Path) -> None:
    assert list(PhotoFolder(folder).contents().lines()) == [
        "5 pictures among 6 files",
        "links to folders, which are not followed: 1",
        "broken links, and names that are no text, passed over: 3, such as dangling.jpg",
    ]


def test_a_name_that_is_no_text_is_shown_so_that_a_terminal_can_show_it(folder: Path) -> None:
    for name in ("dangling.jpg", "pipe.jpg"):
        (folder / name).unlink()

    *_, last = PhotoFolder(folder).contents().lines()

    assert last.endswith(": 1, such as 'not-utf-8-\\udcff.jpg'")


def test_two_folders_of_one_name_are_two_buckets(tmp_path: Path) -> None:
    one, other = (PhotoFolder(tmp_path / above / "Bilder ü").pictures for above in "ab")

    assert one.bucket != other.bucket
    assert one.prefix == other.prefix == "Bilder ü/"


def test_thousands_of_files_are_looked_at_in_seconds(tmp_path: Path) -> None:
    for number in range(5000):
        (tmp_path / f"{number}.jpg").touch()

    began = time.process_time()
    assert open_photos(str(tmp_path)).contents().pictures == 5000

    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "PHOTOS is empty: name a folder"),
        ("nowhere", "There is no folder "),
        ("a file.jpg", "a file.jpg is no folder: give PHOTOS the folder that it is in."),
        ("none", "has no pictures: it is empty."),
        ("texts", "has no pictures: none of its 1 files ends in .avif, .bmp, "),
        ("/", "PHOTOS=/ is the whole machine"),
    ],
)
def test_a_folder_that_cannot_be_described_is_a_plain_sentence(
    tmp_path: Path, given: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a file.jpg").write_bytes(jpeg(1))
    Path("none").mkdir()
    Path("texts").mkdir()
    Path("texts", "notes.txt").touch()

    with pytest.raises(PhotosError) as refused:
        open_photos(given)

    assert said in str(refused.value)
