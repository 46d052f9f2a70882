"""What a prefix that found nothing may have meant."""

from __future__ import annotations

import pytest

from airflow_midjourney.arguments import read_scope
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.storage.prefix_hints import prefix_hint


@pytest.mark.parametrize(
    ("prefix", "instead"),
    [
        ("in/*.jpg", "'in/'"),
        ("in/**", "'in/'"),
        ("in/img?.jpg", "'in/img'"),
        ("in/[ab]", "'in/'"),
        ("/in/", "'in/'"),
        ("./in/", "'in/'"),
        ("in\\2024\\", "'in/2024/'"),
        (" in/", "'in/'"),
    ],
)
def test_a_hint_says_what_to_write(prefix: str, instead: str) -> None:
    assert f"Write {instead}" in prefix_hint(prefix)


@pytest.mark.parametrize("prefix", ["in/", "", "in/a b/", "in/#1/"])
def test_a_usual_prefix_needs_no_hint(prefix: str) -> None:
    assert prefix_hint(prefix) == ""


def scope(bucket: str = "photos", prefix: str | None = None, keys: list[str] | None = None) -> None:
    read_scope(bucket=bucket, prefix=prefix, keys=keys, whole_bucket=False, bot_type="MID_JOURNEY")


@pytest.mark.parametrize(
    "prefix",
    [
        "s3://photos/in/",
        "S3A://photos/in/",
        "arn:aws:s3:::photos/in/",
        "https://photos.s3.eu-central-1.amazonaws.com/in/",
        " 's3://photos/in/'",
    ],
)
def test_an_address_as_prefix_is_refused_with_the_prefix_to_write(prefix: str) -> None:
    with pytest.raises(SettingsError, match="Write 'in/"):
        scope(prefix=prefix)


def test_an_address_of_another_bucket_says_which() -> None:
    with pytest.raises(SettingsError, match="bucket='others'"):
        scope(prefix="s3://others/in/")
    with pytest.raises(SettingsError, match=r"Write 'a\.jpg'"):
        scope(keys=["s3://photos/a.jpg"])


@pytest.mark.parametrize("bucket", ["s3://photos", "arn:aws:s3:::photos", "photos/", "/photos/in"])
def test_a_bucket_is_a_name(bucket: str) -> None:
    with pytest.raises(SettingsError, match="Write bucket='photos'"):
        scope(bucket=bucket, prefix="in/")
