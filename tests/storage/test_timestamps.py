"""Times of S3 are read as botocore reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.utils import parse_timestamp
from hypothesis import given
from hypothesis import strategies as st

from airflow_midjourney.describe.storage.timestamps import read_time, read_times_quickly

MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1))


@given(MOMENTS, st.sampled_from(["seconds", "milliseconds", "microseconds"]))
def test_what_listings_write_is_the_moment_that_botocore_reads(moment: datetime, precision: str) -> None:
    written = f"{moment.isoformat(timespec=precision)}Z"

    assert read_time(written) == parse_timestamp(written)
    assert read_time(written).utcoffset() == parse_timestamp(written).utcoffset()


@pytest.mark.parametrize(
    "written", ["Wed, 25 Nov 2026 08:30:00 GMT", "2026-11-25T08:30:00+00:00", 1795595400, "1795595400"]
)
def test_other_ways_of_writing_a_time_are_left_to_botocore(written: Any) -> None:
    assert read_time(written) == datetime(2026, 11, 25, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize("written", ["", "Z", "yesterdayZ", "2026-13-45T00:00:00Z"])
def test_what_is_no_time_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"[Ii]nvalid|[Uu]nknown|unconverted"):
        read_time(written)


def test_clients_of_a_session_read_their_answers_with_it(
    s3_url: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    monkeypatch.setattr("airflow_midjourney.describe.storage.timestamps.parse_timestamp", read.append)
    session = read_times_quickly(boto3.Session())
    client = session.client("s3", endpoint_url=s3_url)
    client.put_object(Bucket=bucket, Key="a.jpg", Body=b"a")

    (entry,) = client.list_objects_v2(Bucket=bucket)["Contents"]

    assert abs((datetime.now(UTC) - entry["LastModified"]).total_seconds()) < 60
    assert read == []
