"""Fixtures for tests of DAGs: pytest loads them wherever the wheel is installed, so this imports pytest alone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from airflow.sdk import DAG

    from airflow_midjourney.testing.pictures import FakeImages
    from airflow_midjourney.testing.runs import DescribedRun
    from airflow_midjourney.testing.simulator.serving import RunningSimulator


class DescribeDag(Protocol):
    """Runs a DAG to its end."""

    def __call__(self, dag: DAG, conf: Mapping[str, Any] | None = None) -> DescribedRun:
        """Run a DAG, with ``conf`` as in ``airflow dags trigger --conf``."""


@contextmanager
def _explained() -> Iterator[None]:
    """Say what to install where an import finds nothing.

    :raises pytest.UsageError: with the command.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise pytest.UsageError(
            f"The fixtures of airflow_midjourney.testing need {error.name}: pip install"
            " 'airflow-provider-midjourney[testing]'."
        ) from error


@pytest.fixture
def fake_midjourney(request: pytest.FixtureRequest) -> Iterator[RunningSimulator]:
    """A simulator of the service on a free port.

    ``fake_midjourney.set_scenarios(["banned_image:first=1"])`` plays faults, ``counters()`` says what it was asked and
    what it billed, ``change(latency=5)`` makes it slower. A parameter is the name of the dialect.
    """
    with _explained():
        from airflow_midjourney.testing.simulator.serving import running_simulator

    with running_simulator(getattr(request, "param", "novicezk"), latency=0.2, poll_interval=0.1) as simulator:
        yield simulator


@pytest.fixture
def fake_images() -> Iterator[FakeImages]:
    """An S3 server on a free port, with pictures in ``s3://photos/incoming/``.

    ``fake_images.put("bucket", "key.jpg")`` adds pictures.
    """
    with _explained():
        from airflow_midjourney.testing.pictures import running_images

    with running_images() as images:
        yield images


@pytest.fixture(scope="session")
def _airflow_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    from airflow_midjourney.testing.runs import airflow_database

    with airflow_database(tmp_path_factory.mktemp("airflow")):
        yield


@pytest.fixture
def describe_dag(
    fake_midjourney: RunningSimulator,
    fake_images: FakeImages,
    _airflow_of_tests: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> DescribeDag:
    """Run a DAG in this process, with connections to the simulator, the S3 server and an empty metadata table.

    ``describe_dag(dag).rows`` is what the table holds afterwards.
    """
    from airflow_midjourney.testing import runs

    table = tmp_path / "image_prompts.db"
    for name, value in runs.connections(fake_midjourney.url, fake_images.url, table).items():
        monkeypatch.setenv(name, value)
    return lambda dag, conf=None: runs.run_dag(dag, table, conf)
