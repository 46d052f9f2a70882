"""The client that an AWS connection gives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.hooks.images import open_s3

if TYPE_CHECKING:
    from collections.abc import Callable

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


@pytest.mark.parametrize(
    ("connection", "said"),
    [
        ({"extra": {"endpoint_url": "minio:9000"}}, "minio:9000"),
        ({"extra": {"endpoint_url": "https://"}}, "endpoint_url"),
        ({"extra": {"endpoint_url": ""}}, "endpoint_url"),
        ({"extra": {"endpoint_url": 9000}}, "endpoint_url"),
        ({"extra": {"region_name": "eu-central-1 "}}, "eu-central-1 "),
        ({"extra": {"profile_name": "photos"}}, "photos"),
        ({"extra": {"role_arn": "photos", "region_name": "us-east-1"}}, "RoleArn"),
        ({"extra": "endpoint_url=http://minio:9000"}, "JSON object"),
        ({"host": "http://minio:9000"}, "endpoint_url"),
        ({"extra": {"host": "minio:9000"}}, "endpoint_url"),
    ],
)
def test_what_boto3_does_not_accept_is_one_error_that_names_the_connection(
    connection: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"conn_type": "aws", "login": "id", "password": "hunter2"} | connection
    if "role_arn" in str(connection) or "profile" in str(connection):
        given = given | {"login": None, "password": None}
    monkeypatch.setenv("AIRFLOW_CONN_MINIO", json.dumps(given))

    with pytest.raises(SettingsError, match="'minio'") as caught:
        open_s3("minio")

    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
