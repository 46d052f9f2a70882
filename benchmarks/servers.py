"""The processes that a measurement needs beside its own: stand-ins that answer at once, and a Postgres."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

from airflow_midjourney.describe.storage.timestamps import read_times_quickly
from tests.support.airflow_home import REPOSITORY
from tests.support.deployment.components import clean_environment
from tests.support.ports import free_ports, listens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

_START_LIMIT: Final = 60.0


@contextmanager
def running(module: str) -> Iterator[str]:
    """Run a stand-in in a process of its own, and give its address."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", f"benchmarks.stand_ins.{module}:app"]
    options = [
        "--port",
        str(port),
        "--log-level",
        "warning",
        "--no-access-log",
        "--lifespan",
        "off",
        "--timeout-keep-alive",
        "75",
    ]
    process = subprocess.Popen([*command, *options], cwd=REPOSITORY, env=clean_environment())
    try:
        _wait(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_LIMIT
    while not listens(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"a stand-in did not start: {process.args!r}")
        time.sleep(0.05)


def s3_client(url: str) -> S3Client:
    """Give a client as a script of a user makes it."""
    return _client(boto3.Session(), url)


def our_s3_client(url: str) -> S3Client:
    """Give a client as ``aws_conn_id`` gives it to our tasks."""
    return _client(read_times_quickly(boto3.Session()), url)


def _client(session: boto3.Session, url: str) -> S3Client:
    return session.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="id",
        aws_secret_access_key="word",  # noqa: S106
        config=Config(s3={"addressing_style": "path"}),
    )
