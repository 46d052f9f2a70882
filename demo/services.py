"""The two servers of the demo: the simulator in the place of the service, and S3."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from demo.pictures import LOGIN_VARIABLE
from demo.processes import Child, ProcessError, last_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from demo.folder import DemoFolder
    from demo.interruption import Interruption
    from demo.photo_folder import PhotoFolder
    from demo.photos import StoredImage
    from demo.processes import Children
    from demo.real_service import RealService

#: What one description costs, in the simulator's books and in the connection.
PRICE: Final = "0.05"
CURRENCY: Final = "USD"

#: Seconds that a description takes.
_LATENCY: Final = 2.5

#: Seconds in which a server must listen.
_START_LIMIT: Final = 60.0

_LOGIN: Final = "no-name"
_REGION: Final = "us-east-1"


@dataclass(frozen=True, slots=True)
class Service:
    """A server that was started.

    :param address: the file that will hold its URL.
    """

    child: Child
    address: Path

    def url(self, interruption: Interruption) -> str:
        """Wait until it listens.

        :raises ProcessError: if it does not.
        """
        deadline = time.monotonic() + _START_LIMIT
        while not self.address.exists():
            if self.child.has_ended or time.monotonic() > deadline:
                raise ProcessError(f"{self.child.name} did not start.\n{last_lines(self.child.log)}")
            interruption.pause(0.05)
        return self.address.read_text(encoding="utf-8").strip()


class Bill(Protocol):
    """What one run has cost."""

    @property
    def billed(self) -> int:
        """How many descriptions are to be paid for."""

    def line(self) -> str:
        """Say it."""


@dataclass(frozen=True, slots=True)
class PlayBill:
    """What the simulator counted since it started."""

    billed: int
    cost: float

    def line(self) -> str:
        """Say it."""
        return (
            f"The simulator billed {self.billed} descriptions in this run: {self.cost:.2f} {CURRENCY}"
            f" at {PRICE} each, in play money."
        )


@dataclass(frozen=True, slots=True)
class RealBill:
    """What the table's own bill says that a service has accepted in a run."""

    billed: int
    service: RealService

    def line(self) -> str:
        """Say it."""
        line = f"{self.service.address} took {self.billed} images in this run"
        if self.service.price is None:
            return f"{line}."
        cost = f"{self.service.price * self.billed:.2f} {self.service.currency}"
        return f"{line}: {cost}, unless it gives some of it back."


def start_simulator(children: Children, folder: DemoFolder, repository: Path) -> Service:
    """Start the simulator of novicezk's service."""
    options = ("--dialect", "novicezk", "--latency", str(_LATENCY), "--price", PRICE)
    return _start(children, "simulator", ("airflow_midjourney.testing", *options), folder, repository)


def start_object_store(children: Children, folder: DemoFolder, repository: Path) -> Service:
    """Start the S3 server of the demo's own images."""
    return _start(children, "s3", ("demo.object_store",), folder, repository)


def start_folder_store(
    children: Children, folder: DemoFolder, repository: Path, photos: PhotoFolder, login: str
) -> Service:
    """Start the S3 server that shows a folder of the user's.

    :param login: what its readers have to bear.
    """
    module = ("demo.folder_store", "--folder", str(photos.path))
    return _start(children, "s3", module, folder, repository, {LOGIN_VARIABLE: login})


def _start(
    children: Children,
    name: str,
    module: Sequence[str],
    folder: DemoFolder,
    repository: Path,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Service:
    address, log = folder.address_of(name), folder.log_of(name)
    address.unlink(missing_ok=True)
    log.unlink(missing_ok=True)
    command = (sys.executable, "-m", *module, "--ready-file", str(address))
    child = children.start(
        f"The {name} server", command, log=log, environment=_with_plugins(repository, variables), folder=repository
    )
    return Service(child, address)


def _with_plugins(repository: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Let a child process import the product, as Airflow does."""
    return {**os.environ, "PYTHONPATH": str(repository / "plugins"), **variables}


def fill_bucket(url: str, bucket: str, images: Iterable[StoredImage], interruption: Interruption) -> None:
    """Make a bucket and put the images there.

    :raises ProcessError: if the S3 server takes them not.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name=_REGION,
        aws_access_key_id=_LOGIN,
        aws_secret_access_key=_LOGIN,
    )
    try:
        client.create_bucket(Bucket=bucket)
        for image in images:
            interruption.check()
            client.put_object(Bucket=bucket, Key=image.key, Body=image.body)
    except (BotoCoreError, ClientError) as error:
        raise ProcessError(f"The S3 server took no image: {error}") from error


def read_bill(url: str) -> PlayBill:
    """Ask the simulator what it billed.

    :raises ProcessError: if it does not answer.
    """
    try:
        # The address is that of our own child process.
        with urllib.request.urlopen(f"{url}/_simulator/counters?images=0", timeout=10) as answer:  # noqa: S310
            counters = json.load(answer)
    except OSError as error:
        raise ProcessError(f"The simulator does not say what it billed: {error}") from error
    return PlayBill(int(counters["billed"]) - int(counters["refunded"]), float(counters["cost"]))


def simulated(url: str) -> dict[str, object]:
    """Give the connection to the simulator."""
    return {"conn_type": "midjourney", "host": url, "extra": {"price": float(PRICE), "currency": CURRENCY}}


def real(service: RealService) -> dict[str, object]:
    """Give the connection to a service that costs money."""
    extra = {} if service.price is None else {"price": str(service.price), "currency": service.currency}
    return {"conn_type": "midjourney", "host": service.address, "password": service.key, "extra": extra}


def connections(service: dict[str, object], s3_url: str, table: Path, login: str = _LOGIN) -> dict[str, str]:
    """Give the three connections as Airflow reads them from the environment."""
    storage = {
        "conn_type": "aws",
        "login": login,
        "password": login,
        "extra": {"endpoint_url": s3_url, "region_name": _REGION},
    }
    return {
        "AIRFLOW_CONN_MIDJOURNEY_DEFAULT": json.dumps(service),
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(storage),
        "AIRFLOW_CONN_IMAGE_PROMPTS_DB": json.dumps({"conn_type": "sqlite", "host": str(table)}),
    }
