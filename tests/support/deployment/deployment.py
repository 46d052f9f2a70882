"""A deployment: what belongs to it, and how it is put together.

.. code-block:: python

    with running_deployment(folder, "LocalExecutor") as deployment:
        deployment.connect_service(max_in_flight=60)
        deployment.put_photos("in/", range(60))
        deployment.api.unpause("describe_images")
        deployment.api.trigger("describe_images", "run-1", {"bucket": "photos", "prefix": "in/"})
        assert deployment.api.wait_for_run("describe_images", "run-1") == "success"
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text

from tests.support.deployment.airflow_api import AirflowApi
from tests.support.deployment.airflow_settings import AirflowSettings
from tests.support.deployment.components import Component, Keeper, clean_environment
from tests.support.deployment.service import s3_client, start_s3, start_simulator
from tests.support.deployment.stores import start_postgres, start_redis
from tests.support.images import jpeg
from tests.support.ports import free_ports, listens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mypy_boto3_s3 import S3Client
    from sqlalchemy import Engine

    from tests.support.deployment.service import Simulator
    from tests.support.deployment.stores import Postgres

#: The key of the service: it must be found nowhere.
KEY = "sk-0f5e2b7c9d1a4e68b3f7"

#: The bucket that the example DAG takes when it is not told another one.
BUCKET = "photos"

_METADATA = "prompts"
_AIRFLOW = "airflow"


@dataclass
class Deployment:
    """All processes of an Airflow and of what it works with.

    :param folder: logs, data and Airflow's home.
    :param workers: the Celery workers; none for the LocalExecutor.
    """

    folder: Path
    keeper: Keeper
    settings: AirflowSettings
    postgres: Postgres
    simulator: Simulator
    s3: S3Client
    s3_url: str
    api: AirflowApi
    api_server: Component
    scheduler: Component
    dag_processor: Component
    triggerer: Component
    workers: list[Component] = field(default_factory=list)
    redis: Component | None = None

    @property
    def airflow_components(self) -> list[Component]:
        """The processes of Airflow."""
        return [self.api_server, self.scheduler, self.dag_processor, self.triggerer, *self.workers]

    def revive(self) -> None:
        """Start what has ended again, as a supervisor of services does."""
        for component in self.airflow_components:
            if not component.is_alive:
                component.restart()

    def connect_service(self, simulator: Simulator | None = None, **extra: Any) -> None:
        """Set the connection of the service; ``account`` gives a test slots and an account of its own."""
        self.api.set_connection(
            "midjourney_default",
            conn_type="midjourney",
            host=(simulator or self.simulator).root,
            password=KEY,
            extra=json.dumps({"price": 0.05, "currency": "USD", "timeout": 10, **extra}),
        )

    def connect_stores(self) -> None:
        """Set the connections of S3 and of the metadata table."""
        self.api.set_connection(
            "aws_default",
            conn_type="aws",
            login="id",
            password="word",
            extra=json.dumps({"endpoint_url": self.s3_url, "region_name": "us-east-1"}),
        )
        self.api.set_connection(
            "image_prompts_db",
            conn_type="postgres",
            host="127.0.0.1",
            port=self.postgres.port,
            login="postgres",
            schema=_METADATA,
        )

    def put_photos(self, prefix: str, numbers: Iterable[int], bucket: str = BUCKET) -> None:
        """Store one small image per number; the same number gives the same bytes."""
        for number in numbers:
            self.s3.put_object(Bucket=bucket, Key=f"{prefix}{number:05}.jpg", Body=jpeg(number, size=16))

    def rows(self, prefix: str, bucket: str = BUCKET) -> list[dict[str, Any]]:
        """Give the rows of the metadata table under a prefix, by key."""
        return self._query(
            "SELECT * FROM image_prompts WHERE bucket = :bucket AND starts_with(key, :prefix) ORDER BY key",
            bucket=bucket,
            prefix=prefix,
        )

    def submissions(self, prefix: str, bucket: str = BUCKET) -> list[dict[str, Any]]:
        """Give the bill of the images under a prefix, in the order of the POSTs."""
        return self._query(
            "SELECT bill.* FROM image_prompts_submissions AS bill JOIN image_prompts AS image"
            " ON image.id = bill.image_id WHERE image.bucket = :bucket AND starts_with(image.key, :prefix)"
            " ORDER BY bill.id",
            bucket=bucket,
            prefix=prefix,
        )

    def airflow_engine(self) -> Engine:
        """Open Airflow's own database, for what its API does not tell."""
        return create_engine(self.postgres.url(_AIRFLOW))

    def run_command(self, *words: str) -> Component:
        """Run an ``airflow`` command to its end."""
        command = _airflow(self.keeper, self.folder, self.settings, "command", words, always)
        command.start()
        command.wait_until_ended()
        return command

    def logs(self) -> Iterator[Path]:
        """Give all log files of all processes and tasks."""
        yield from self.folder.glob("*.log")
        yield from self.settings.home.rglob("*.log")

    def _query(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        engine = create_engine(self.postgres.url(_METADATA))
        try:
            with engine.connect() as connection:
                if connection.execute(text("SELECT to_regclass('image_prompts')")).scalar_one() is None:
                    return []
                return [dict(row) for row in connection.execute(text(statement), values).mappings()]
        finally:
            engine.dispose()


def always() -> bool:
    """Say that a process is ready as soon as it runs."""
    return True


@contextmanager
def running_deployment(
    folder: Path,
    executor: str,
    *,
    dags: Sequence[Path] = (),
    simulator_options: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    hurry: bool = False,
) -> Iterator[Deployment]:
    """Start a deployment, and end all its processes afterwards.

    :param folder: an empty folder.
    :param executor: ``LocalExecutor``, or ``CeleryExecutor`` for a Redis and two workers.
    :param dags: folders with DAG files beside the repository's ``dags/``.
    :param simulator_options: of the simulator's command line.
    :param variables: further environment variables of all Airflow processes.
    :param hurry: True to wait for seconds, not minutes, for what a killed worker held.
    """
    with Keeper() as keeper:
        simulator = start_simulator(keeper, folder, KEY, simulator_options)
        s3_component, s3_url = start_s3(keeper, folder)
        postgres = start_postgres(keeper, folder)
        for database in (_AIRFLOW, _METADATA):
            postgres.create(database)
        more = dict(variables or {})
        redis = None
        if executor == "CeleryExecutor":
            redis, broker = start_redis(keeper, folder)
            more |= _celery_variables(broker, postgres)
        api_port, *log_ports = free_ports(3)
        settings = AirflowSettings(
            folder / "airflow",
            postgres.url(_AIRFLOW),
            api_port,
            (log_ports[0], log_ports[1]),
            executor,
            tuple(dags),
            more,
        )
        settings.prepare(hurry=hurry)
        _migrate(keeper, folder, settings)
        deployment = _start_airflow(keeper, folder, settings, postgres, simulator, s3_url)
        deployment.redis = redis
        s3_component.wait_until_ready()
        deployment.s3.create_bucket(Bucket=BUCKET)
        for component in (simulator.component, *deployment.airflow_components):
            component.wait_until_ready()
        deployment.connect_service()
        deployment.connect_stores()
        yield deployment


def _start_airflow(
    keeper: Keeper, folder: Path, settings: AirflowSettings, postgres: Postgres, simulator: Simulator, s3_url: str
) -> Deployment:
    api = AirflowApi(f"http://127.0.0.1:{settings.api_port}")
    deployment = Deployment(
        folder,
        keeper,
        settings,
        postgres,
        simulator,
        s3_client(s3_url),
        s3_url,
        api,
        api_server=_airflow(keeper, folder, settings, "api-server", ["api-server"], api.is_up),
        scheduler=_airflow(keeper, folder, settings, "scheduler", ["scheduler"], lambda: api.is_healthy("scheduler")),
        dag_processor=_airflow(
            keeper, folder, settings, "dag-processor", ["dag-processor"], lambda: api.has_dag("describe_images")
        ),
        triggerer=_airflow(keeper, folder, settings, "triggerer", ["triggerer"], lambda: api.is_healthy("triggerer")),
    )
    if settings.executor == "CeleryExecutor":
        deployment.workers = [_celery_worker(keeper, folder, settings, name) for name in ("worker-a", "worker-b")]
    for component in deployment.airflow_components:
        component.start()
    return deployment


def _migrate(keeper: Keeper, folder: Path, settings: AirflowSettings) -> None:
    migration = _airflow(keeper, folder, settings, "migration", ["db", "migrate"], always)
    migration.start()
    migration.wait_until_ended()


def _airflow(
    keeper: Keeper, folder: Path, settings: AirflowSettings, name: str, words: Sequence[str], is_ready: Any
) -> Component:
    return Component(
        name,
        keeper,
        [sys.executable, "-m", "airflow", *words],
        clean_environment() | settings.variables(),
        settings.home,
        folder / f"{name}.log",
        is_ready=is_ready,
    )


def _celery_worker(keeper: Keeper, folder: Path, settings: AirflowSettings, name: str) -> Component:
    (port,) = free_ports(1)
    worker = _airflow(
        keeper,
        folder,
        settings,
        name,
        ["celery", "worker", "--celery-hostname", f"{name}@%h", "--concurrency", "2"],
        lambda: listens(port),
    )
    worker.environment = {**worker.environment, "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": f"{port}"}
    return worker


def _celery_variables(broker: str, postgres: Postgres) -> dict[str, str]:
    return {
        "AIRFLOW__CELERY__BROKER_URL": broker,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{postgres.url(_AIRFLOW)}",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
    }
