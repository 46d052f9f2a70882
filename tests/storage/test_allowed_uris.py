from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.storage.allowed_uris import AllowedUris


@pytest.mark.parametrize(
    ("pattern", "uri", "allowed"),
    [
        ("s3://photos/*", "s3://photos/a/b.jpg", True),
        ("s3://photos/*", "s3://photos-private/a.jpg", False),
        ("s3://photos/a.jpg", "s3://photos/a.jpg", True),
        ("s3://photos/a", "s3://photos/a/b.jpg", False),
        ("s3://photos/*.jpg", "s3://photos/A.JPG", False),
        ("s3://photos/?.jpg", "s3://photos/ab.jpg", False),
        ("s3://photos/[ab].jpg", "s3://photos/b.jpg", True),
        ("s3://photos/*", "s3://photos/line\nbreak.jpg", True),
        ("s3://photos/public/*", "s3://photos/private/\ns3://photos/public/a.jpg", False),
        ("s3://*", "s3://anything/at/all", True),
    ],
)
def test_patterns_match_the_whole_uri(pattern: str, uri: str, allowed: bool) -> None:
    assert AllowedUris([pattern]).allow(uri) is allowed


@pytest.mark.parametrize(
    "key",
    [
        "public/../private/x.jpg",
        "public/./x.jpg",
        "public/a/../../private/x.jpg",
        "public/..",
        "public/../x.jpg",
        "public/%2e%2e/private/x.jpg",
        "public/%c0%ae%C0%AE/private/x.jpg",
        "public/%e0%80%ae%e0%80%ae%c0%afprivate/x.jpg",
        "public/%f0%80%80%ae./private/x.jpg",
        "public/%25c0%25ae%25c0%25ae/private/x.jpg",
        "public/..%c0%afprivate/x.jpg",
        "public/..%c1%9cprivate/x.jpg",
        "public/%u002e%u002e%u2215private/x.jpg",
        "public/%uff0e%uff0e/private/x.jpg",
        "public/\uff0e\uff0e/private/x.jpg",
        "public/\u2025/private/x.jpg",
        "public/..\uff0fprivate/x.jpg",
        "public/..\u200b/private/x.jpg",
        "public/..\x7f/private/x.jpg",
        "public/..\x01/private/x.jpg",
        "public/..%2fprivate/x.jpg",
        "public/%252e%252e/private/x.jpg",
        "public/%25252525252e/private/x.jpg",
        "public/..;name=value/private/x.jpg",
        "public/.. /private/x.jpg",
        "public/..\0/private/x.jpg",
        "public/..%00/private/x.jpg",
        "public\\..\\private/x.jpg",
        "../x.jpg",
    ],
)
def test_keys_that_climb_match_no_pattern(key: str) -> None:
    for pattern in ("s3://photos/public/*", "s3://photos/*", f"s3://photos/{key}"):
        assert not AllowedUris([pattern]).allow(f"s3://photos/{key}")
    assert AllowedUris([]).allow(f"s3://photos/{key}")


@pytest.mark.parametrize(
    "key",
    [
        "public/..x.jpg",
        "public/.hidden/x.jpg",
        "public/x..jpg",
        "public/...",
        "public//x",
        "public/100%25/50%.jpg",
        "public/a;b/..c;d.jpg",
        "public/\u2026/x.jpg",
        "public/\u00bd%c0%ae.jpg",
        "public/a\uff0eb\uff0fc.jpg",
    ],
)
def test_names_with_dots_are_names(key: str) -> None:
    assert AllowedUris(["s3://photos/public/*"]).allow(f"s3://photos/{key}")


def test_a_prefix_that_climbs_is_outside() -> None:
    allowed = AllowedUris(["s3://photos/public/*"])
    assert not allowed.reach_into("s3://photos/public/../private/")
    assert allowed.reach_into("s3://photos/public/.")
    assert AllowedUris([]).reach_into("s3://photos/public/../private/")


def test_one_of_several_patterns_is_enough() -> None:
    allowed = AllowedUris(["s3://a/*", "s3://b/*"])
    assert allowed.allow("s3://b/x.jpg")
    assert not allowed.allow("s3://c/x.jpg")


def test_no_pattern_allows_everything() -> None:
    assert AllowedUris([]).allow("s3://photos/a.jpg")
    assert AllowedUris([]).reach_into("s3://photos/")


@pytest.mark.parametrize("pattern", ["photos/*", "*", "", "S3://photos/*", " s3://photos/*"])
def test_patterns_that_could_never_match_are_refused(pattern: str) -> None:
    with pytest.raises(SettingsError, match="allowed_uris"):
        AllowedUris([pattern])


def test_a_text_instead_of_a_list_is_refused() -> None:
    with pytest.raises(SettingsError, match="allowed_uris"):
        AllowedUris("s3://photos/*")


@pytest.mark.parametrize(
    ("prefix", "reached"),
    [
        ("s3://photos/", True),
        ("s3://photos/pub", True),
        ("s3://photos/public/2024/", True),
        ("s3://photos/private/", False),
        ("s3://other/", False),
    ],
)
def test_prefixes_outside_every_pattern_are_known(prefix: str, reached: bool) -> None:
    assert AllowedUris(["s3://photos/public/*", "s3://third/x"]).reach_into(prefix) is reached


@settings(max_examples=200)
@given(st.text("ab/*?[", max_size=8), st.text("ab/*?[", max_size=8), st.integers(0, 8))
def test_a_prefix_of_an_allowed_image_is_never_refused(tail: str, key: str, cut: int) -> None:
    pattern, uri = f"s3://b/{tail}", f"s3://b/{key}"
    allowed = AllowedUris([pattern])
    assert allowed.allow(uri) is fnmatchcase(uri, pattern)
    assert allowed.reach_into(f"s3://b/{key[:cut]}") or not allowed.allow(uri)
