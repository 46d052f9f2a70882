"""The same bytes under a hundred keys, eight processes at once: one POST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_midjourney.describe.model.batch import Scope
from tests.support import batches, rows
from tests.support.images import jpeg
from tests.support.processes import Job, run_side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


def test_the_same_bytes_under_a_hundred_keys_are_paid_for_once(
    place: MetadataPlace,
    database: Database,
    s3: S3Client,
    s3_url: str,
    bucket: str,
    simulate: Callable[..., RunningSimulator],
) -> None:
    simulator = simulate(dialect="novicezk", latency=0.3)
    body = jpeg(1)
    for number in range(100):
        s3.put_object(Bucket=bucket, Key=f"in/{number:03}.jpg", Body=body)
    job = Job(place, s3_url, simulator.url, Scope(bucket, ("in/",)), batches.origin(), account={"poll_interval": 0.2})

    all_counts = run_side_by_side([job] * 8)

    assert [(counts.succeeded, counts.shared, counts.billed) for counts in all_counts] == [(100, 99, 1)] * 8
    assert simulator.counters()["accepted"] == simulator.counters()["billed"] == 1
    with database.reading() as tx:
        found = rows.image_rows(tx)
        assert len(rows.bill(tx)) == 1
    assert len({row["prompt_raw"] for row in found}) == 1
    assert {row["content_sha256"] for row in found} == {found[0]["content_sha256"]}
