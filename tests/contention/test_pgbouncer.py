"""PgBouncer with transaction pooling in between: no statement is mixed up with another client's."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.engine import make_url

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.describe.table.schema import TableNames
from tests.support import batches
from tests.support.places import MetadataPlace
from tests.support.postgres import DRIVERS
from tests.support.processes import Job, run_side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from simulator.serving import RunningSimulator
    from tests.support.postgres import RunningPostgres

PGBOUNCER = shutil.which("pgbouncer")

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="There is no pgbouncer on this machine; .ci/run installs it.")

IMAGES = 120
CONFIGURATION = """
[databases]
* = host={sockets} port=5432 user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
logfile = {folder}/pgbouncer.log
"""


def _free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture
def pooled(postgres_server: RunningPostgres) -> Iterator[int]:
    """The port of a PgBouncer with two server connections."""
    port = _free_port()
    # Not among pytest's folders, which no other user may enter: PgBouncer refuses to be root.
    folder = Path(tempfile.mkdtemp(prefix="tests-pgbouncer-"))
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(CONFIGURATION.format(sockets=postgres_server.sockets, port=port, folder=folder))
    user = "pgserver" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
        folder.chmod(0o755)
    assert PGBOUNCER is not None
    with subprocess.Popen([PGBOUNCER, "-q", configuration], user=user) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
        process.terminate()
    shutil.rmtree(folder)


@pytest.mark.parametrize("driver", DRIVERS)
def test_three_tasks_at_once_and_one_after_them_mix_nothing_up(
    driver: str,
    pooled: int,
    postgres_server: RunningPostgres,
    bucket: str,
    s3: S3Client,
    s3_url: str,
    simulate: Callable[..., RunningSimulator],
) -> None:
    simulator = simulate(dialect="trueai", latency=0.05, slots=100, queue=100)
    name = f"pooled_{driver}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    url = make_url(postgres_server.url(driver, name)).set(host="127.0.0.1", port=pooled, query={})
    place = MetadataPlace(url.render_as_string(hide_password=False), TableNames())
    database = open_database(place.url)
    ensure_tables(database)
    database.close()
    batches.put_photos(s3, bucket, range(IMAGES))
    scope = Scope(bucket, ("in/",))
    account = {"max_in_flight": 24, "poll_interval": 0.2}
    job = Job(place, s3_url, simulator.url, scope, batches.origin(), account=account)

    counts = run_side_by_side([replace(job, origin=batches.origin(f"run-{number}")) for number in range(3)])
    counts += run_side_by_side([replace(job, origin=batches.origin("run-after"))])

    assert [one.succeeded for one in counts[:3]] == [IMAGES] * 3
    assert counts[3].billed == 0
    assert simulator.counters()["billed"] == IMAGES
    assert {image["billed"] for image in simulator.counters()["images"].values()} == {1}
    assert sum(one.billed for one in counts) == IMAGES
