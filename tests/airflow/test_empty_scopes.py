"""A scope in which nothing was found, and prefixes as people write them, seen from Airflow: states, logs and errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.support.airflow_runs import Troubles, run_dag, submit_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


@pytest.fixture(autouse=True)
def _connected(simulator: RunningSimulator, sqlite_place: MetadataPlace, connect: Callable[..., None]) -> None:
    connect(simulator, sqlite_place)


@pytest.fixture
def papers(s3: S3Client, bucket: str) -> None:
    """Three keys of which none is an image."""
    for name in ("a.txt", "b.txt", "c.json"):
        s3.put_object(Bucket=bucket, Key=f"in/{name}", Body=b"no image")


@pytest.mark.usefixtures("papers")
@pytest.mark.parametrize(
    ("of_operator", "of_sensor", "states"),
    [
        ({}, {}, ("success", "skipped")),
        ({"on_empty": "skip"}, {"deferrable": True}, ("success", "skipped")),
        ({"on_empty": "finish"}, {}, ("success", "success")),
        ({"on_empty": "fail"}, {}, ("failed", "upstream_failed")),
        ({}, {"on_empty": "fail"}, ("success", "failed")),
        ({"on_empty": "finish"}, {"on_empty": "fail", "deferrable": True}, ("success", "failed")),
        ({"on_empty": "skip"}, {"on_empty": "finish"}, ("success", "success")),
    ],
)
def test_a_scope_without_images_ends_as_it_was_asked_to_and_says_how_many_keys_there_were(
    of_operator: dict[str, Any],
    of_sensor: dict[str, Any],
    states: tuple[str, str],
    bucket: str,
    simulator: RunningSimulator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    troubles = Troubles()

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/"} | of_operator, of_sensor, troubles, retries=2))

    assert (run.state_of("submit"), run.state_of("wait")) == states
    assert (run.tries_of("submit"), run.tries_of("wait")) == (1, 0 if states[1] == "upstream_failed" else 1)
    said = f"There are no images in s3://{bucket}/in/: 3 keys, 0 with an image suffix."
    assert said in capsys.readouterr().out
    if "failed" in states:
        assert isinstance(troubles.failed[0], AirflowFailException)
        assert said in str(troubles.failed[0])
    assert simulator.counters()["accepted"] == 0


def test_a_scope_whose_images_are_done_is_not_empty(
    bucket: str, put_photos: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    put_photos("in/", 2)
    scope = {"bucket": bucket, "prefix": "in/", "on_empty": "fail"}

    states = [run_dag(submit_and_wait(scope, {})).state_of("wait") for _ in range(2)]

    assert states == ["success", "success"]
    assert "Nothing to pay for: 2 of 2 images have their prompts." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("who", "prefix", "hint"),
    [
        ("submit", "/in/", "Write 'in/'."),
        ("submit", "in/*.jpg", "not as a wildcard. Write 'in/' and choose by ending with suffixes=."),
        ("wait", "in/2026-??-01/", "not as a wildcard. Write 'in/2026-'"),
        ("submit", "./in/", "Write 'in/'."),
        ("submit", "'in/'", "Write 'in/'."),
    ],
)
def test_a_prefix_that_finds_nothing_is_explained_in_the_verdict(
    who: str, prefix: str, hint: str, bucket: str, put_photos: Callable[..., None]
) -> None:
    put_photos("in/", 1)
    troubles = Troubles()
    on_empty = {"on_empty": "fail"}
    scope = {"bucket": bucket, "prefix": prefix} | (on_empty if who == "submit" else {})

    run = run_dag(submit_and_wait(scope, on_empty, troubles))

    assert run.state_of(who) == "failed"
    message = str(troubles.failed[0])
    assert f"There are no images in s3://{bucket}/{prefix}: 0 keys, 0 with an image suffix." in message
    assert hint in message


@pytest.mark.parametrize("key", ["/in/a.jpg", "in/*.jpg"])
def test_a_prefix_with_an_odd_letter_that_finds_images_is_taken_as_it_is(
    key: str, bucket: str, s3: S3Client, put_photos: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    put_photos("elsewhere/", 1)
    s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": "elsewhere/000.jpg"})

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": key[:5]}, {}))

    assert run.state_of("wait") == "success"
    assert "described 1 of 1 images; 1 billed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("scope", "instead"),
    [
        ({"bucket": "{bucket}", "prefix": "s3://{bucket}/in/"}, "Write 'in/'."),
        ({"bucket": "{bucket}", "prefix": ["in/", "S3://{bucket}/more/"]}, "Write 'more/'."),
        ({"bucket": "{bucket}", "prefix": "https://{bucket}.s3.amazonaws.com/in/"}, "Write 'in/'."),
        ({"bucket": "s3://{bucket}/in/", "prefix": "in/"}, "'{bucket}'"),
    ],
)
def test_a_uri_as_prefix_is_refused_with_what_to_write_before_anything_is_listed(
    scope: dict[str, Any], instead: str, bucket: str, put_photos: Callable[..., None], simulator: RunningSimulator
) -> None:
    put_photos("in/", 1)
    troubles = Troubles()
    written = json.loads(json.dumps(scope).replace("{bucket}", bucket))

    run = run_dag(submit_and_wait(written, {}, troubles, retries=2))

    assert (run.state_of("submit"), run.tries_of("submit"), run.state_of("wait")) == ("failed", 1, "upstream_failed")
    assert instead.format(bucket=bucket) in str(troubles.failed[0])
    assert simulator.counters()["accepted"] == 0


def test_the_last_line_counts_by_status_and_reason(
    bucket: str, s3: S3Client, put_photos: Callable[..., None], simulator: RunningSimulator
) -> None:
    put_photos("in/", 3)
    s3.put_object(Bucket=bucket, Key="in/0009.jpg", Body=b"no image")
    s3.put_object(Bucket=bucket, Key="in/empty.jpg", Body=b"")
    simulator.set_scenarios(["banned_image:first=1"])
    troubles = Troubles()

    run = run_dag(submit_and_wait({"bucket": bucket, "prefix": "in/"}, {}, troubles))

    message = str(troubles.failed[0])
    assert message.startswith("33.3% failed, more than max_failure_rate=0.05 allows. described 2 of 5 images")
    assert "2 rejected, 1 failed (banned: 1, empty: 1, unsupported_format: 1)" in message
    assert run.state_of("wait") == "failed"
