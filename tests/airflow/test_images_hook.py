"""The client that an AWS connection gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_midjourney.hooks.images import open_s3

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


def test_it_reads_the_times_of_a_listing_quickly(
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slowly_read: list[Any] = []
    monkeypatch.setattr("airflow_midjourney.describe.storage.timestamps.parse_timestamp", slowly_read.append)
    connect(simulator, sqlite_place)
    put_photos("in/", 2)

    entries = open_s3("aws_default").list_objects_v2(Bucket=bucket)["Contents"]

    assert [entry["LastModified"].utcoffset().total_seconds() for entry in entries] == [0, 0]
    assert slowly_read == []
