"""``allowed_targets`` bounds where exports go."""

from __future__ import annotations

import pytest

from airflow_midjourney.describe.exports.targets.allowed import check_target
from airflow_midjourney.describe.model.errors import SettingsError


@pytest.mark.parametrize(
    ("target", "patterns"),
    [
        ("s3://anywhere/at/all", ()),
        ("s3://exports/a", ("s3://exports/*",)),
        ("s3://exports/a/b.csv", ("s3://other/*", "s3://exports/*")),
        ("/data/exports/captions", ("/data/exports/*",)),
        ("s3://exports", ("s3://exports",)),
        ("s3://exports/a..b/c", ("s3://exports/*",)),
    ],
)
def test_what_a_pattern_allows_may_be_written(target: str, patterns: tuple[str, ...]) -> None:
    check_target(target, patterns, "mj")


@pytest.mark.parametrize(
    ("target", "patterns"),
    [
        ("s3://elsewhere/a", ("s3://exports/*",)),
        ("s3://exports-of-others/a", ("s3://exports/*",)),
        ("s3://EXPORTS/a", ("s3://exports/*",)),
        ("s3://exports/../private/a", ("s3://exports/*",)),
        ("s3://exports/./a", ("s3://exports/*",)),
        ("s3://exports/%2e%2e/private", ("s3://exports/*",)),
        ("s3://exports/..%2fprivate", ("s3://exports/*",)),
        ("s3://exports/..\\private", ("s3://exports/*",)),
        ("/data/exports/../../etc", ("/data/exports/*",)),
        ("/etc", ("/data/exports/*",)),
        ("data/exports/a", ("/data/exports/*",)),
    ],
)
def test_nothing_else_may(target: str, patterns: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="outside allowed_targets of connection 'mj'"):
        check_target(target, patterns, "mj")


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"'exports/\*', which matches nothing"):
        check_target("s3://exports/a", ("exports/*",), "mj")
