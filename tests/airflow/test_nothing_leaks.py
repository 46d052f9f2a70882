"""The API key and the images appear in nothing that Airflow keeps or shows, even at DEBUG."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support import airflow_connections as connections
from tests.support.airflow_home import REPOSITORY, airflow_variables
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

KEY = "sk-D1stinctive/Key+0f-tests"

RUN = """
import runpy, sys
from airflow.utils.db import initdb
from airflow_midjourney.describe.engine import loop
from airflow_midjourney.triggers import describe as triggers
initdb()
loop.WORTH_DEFERRING, triggers.FIRST_LOOK_AFTER = 0.0, 0.1
sys.argv[0] = "airflow"
runpy.run_module("airflow", run_name="__main__")
"""


def test_neither_key_nor_image_is_kept_or_shown(
    tmp_path: Path,
    bucket: str,
    s3_url: str,
    sqlite_place: MetadataPlace,
    simulate: Callable[..., RunningSimulator],
    put_photos: Callable[..., None],
) -> None:
    simulator = simulate(latency=5.0, key=KEY)
    put_photos("in/", 2)
    home = tmp_path / "airflow"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= airflow_variables(home, REPOSITORY / "dags", REPOSITORY / "plugins")
    environment |= {
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        # With one slot for two images the operator has to wait, so it defers however slow this machine is.
        "AIRFLOW_CONN_MIDJOURNEY_DEFAULT": connections.midjourney(simulator.url, KEY, max_in_flight=1),
        "AIRFLOW_CONN_AWS_DEFAULT": connections.aws(s3_url),
        "AIRFLOW_CONN_IMAGE_PROMPTS_DB": connections.metadata(sqlite_place),
        "AIRFLOW__MIDJOURNEY__POLL_INTERVAL": "0.2",
        "PYTHONPATH": str(REPOSITORY / "plugins"),
    }
    conf = f'{{"bucket": "{bucket}", "prefix": "in/"}}'

    done = subprocess.run(
        [sys.executable, "-c", RUN, "dags", "test", "describe_images", "--conf", conf],
        env=environment,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout.decode()[-3000:] + done.stderr.decode()[-3000:]
    assert b"freeing the worker" in done.stdout
    assert b"[debug" in done.stdout
    # What `dags test` itself logs at DEBUG when it is asked to mask a value; a worker does not.
    output = [line for line in (done.stdout + done.stderr).splitlines() if b"msg=MaskSecret(" not in line]
    places = {"output": b"\n".join(output)} | {
        str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()
    }
    places |= {str(path): path.read_bytes() for path in tmp_path.glob("image_prompts.sqlite*")}
    assert any(name.endswith("airflow.db") for name in places)
    assert [name for name, content in places.items() if KEY.encode() in content] == []
    picture = base64.b64encode(jpeg(0))[100:160]
    assert [name for name, content in places.items() if picture in content or b";base64," in content] == []
    assert simulator.counters()["billed"] == 2
