"""What a prefix that found nothing may have meant."""

from __future__ import annotations

import json

import pytest

from airflow_midjourney.arguments import read_scope
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.storage.prefix_hints import prefix_hint
from tests.support.airflow_home import REPOSITORY

CASES = REPOSITORY / "tests/fixtures/cases"


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
        ("in/\u200b2024/", "'in/2024/'"),
        ("in/caf%C3%A9/", "'in/café/'"),
        ("photos/in/", "'in/'"),
        ("/photos/in/", "'in/'"),
    ],
)
def test_a_hint_says_what_to_write(prefix: str, instead: str) -> None:
    assert f"Write {instead}" in prefix_hint(prefix, "photos")


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("in/{{ ds }}/", "No template"),
        ("in/${ds}/", "No template"),
        ("['in/', 'out/']", "not as a list"),
        ("in//2024/", "no folders"),
        ("in/../out/", "no folders"),
        ("../in/", "no folders"),
        ("cafe\u0301/", r"Try 'caf\xe9/'"),
        ("caf\u00e9/", r"Try 'cafe\u0301/'"),
    ],
)
def test_a_hint_says_what_s3_makes_of_it(prefix: str, words: str) -> None:
    assert words in prefix_hint(prefix, "photos")


def test_the_cases_of_strangers() -> None:
    address, wildcard = (
        json.loads((CASES / f"{name}.json").read_text())["prefix"]
        for name in ("pre01_uri_as_prefix", "pre02_wildcard_as_prefix")
    )

    with pytest.raises(SettingsError, match="Write 'in/'"):
        scope(prefix=address)
    assert "Write 'in/' and choose" in prefix_hint(wildcard, "photos")


@pytest.mark.parametrize("prefix", ["in/", "", "in/a b/", "in/#1/", "in/日本/", "in/a.b/", ".hidden/", "in/50%/"])
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


@pytest.mark.parametrize("prefix", ["s3://photos", "s3://photos/", "arn:aws:s3:::photos"])
def test_the_address_of_a_whole_bucket_names_the_switch(prefix: str) -> None:
    with pytest.raises(SettingsError, match="Write whole_bucket=True"):
        scope(prefix=prefix)


@pytest.mark.parametrize(
    "text", ["s3:/photos/in/", "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine", "gs://photos/in/"]
)
def test_addresses_that_name_no_key_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="Write the prefix alone"):
        scope(prefix=text)
    with pytest.raises(SettingsError, match="Write the key alone"):
        scope(keys=[text])


def test_the_arn_of_an_access_point_asks_for_its_alias() -> None:
    with pytest.raises(SettingsError, match="the alias that an access point has"):
        scope(bucket="arn:aws:s3:eu-west-1:123456789012:accesspoint/mine", prefix="in/")


def test_a_list_of_prefixes_that_a_template_made_text_of_is_a_list() -> None:
    read = read_scope(
        bucket="photos", prefix='["in/", "out/"]', keys=None, whole_bucket=False, bot_type="MID_JOURNEY"
    ).prefixes

    assert read == ("in/", "out/")
    with pytest.raises(SettingsError, match="A prefix is empty"):
        scope(prefix='["in/", ""]')
    with pytest.raises(SettingsError, match="Give prefix="):
        scope(prefix="[]")


@pytest.mark.parametrize(
    ("named", "listed"),
    [
        (["urgent/", "archive/"], ("urgent/", "archive/")),
        (["b/", "a/x/", "a/", "b/", "c"], ("b/", "a/", "c")),
        (["a", "", "b"], ("",)),
    ],
)
def test_prefixes_are_listed_once_in_the_order_in_which_they_are_named(
    named: list[str], listed: tuple[str, ...]
) -> None:
    read = read_scope(bucket="photos", prefix=named, keys=None, whole_bucket="" in named, bot_type="MID_JOURNEY")

    assert read.prefixes == listed


@pytest.mark.parametrize("key", ["", "  ", "None", "../a.jpg", "a\0.jpg", "\ud800.jpg", "é" * 600])
def test_a_key_that_no_object_has_is_refused_before_any_image(key: str) -> None:
    with pytest.raises(SettingsError, match="raw keys"):
        scope(keys=["in/a.jpg", key])


@pytest.mark.parametrize("prefix", ["in/\0", "in/\ud800"])
def test_a_prefix_that_cannot_be_asked_for_is_refused(prefix: str) -> None:
    with pytest.raises(SettingsError, match="with which no key begins"):
        scope(prefix=prefix)
