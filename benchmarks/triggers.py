"""Hundreds of waiting batches in one triggerer, beside as many of Airflow's HttpSensorTrigger, and plain sleepers."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.table.schema import TableNames
from benchmarks.crowd import Order, Stay, key_of
from benchmarks.figures import Bar, Figure, Mark
from benchmarks.not_there import serving_nothing
from tests.support import airflow_connections as connections
from tests.support.airflow_home import REPOSITORY, airflow_variables
from tests.support.deployment.components import Keeper, clean_environment
from tests.support.deployment.service import s3_client, start_s3, start_simulator
from tests.support.images import jpeg
from tests.support.places import MetadataPlace
from tests.support.postgres import running_postgres
from tests.support.rows import BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.support.deployment.service import Simulator

BLOCKED: Final = Mark("triggers-blocked", "less than", 0.2)

#: Images on their way while the batches wait; no other has room.
SENT: Final = 12

_COUNTED_EVERY: Final = 0.5

_SHARE_OF_OTHERS: Final = 1 / 3

#: The whole has three minutes where nothing is to be published.
_QUICK_KINDS: Final = ("ours", "http_sensors")

_NAMES: Final = {"ours": "ours", "http_sensors": "HttpSensorTrigger", "sleepers": "plain sleepers"}


@dataclass(frozen=True)
class Size:
    """How many, and for how long: see :class:`benchmarks.crowd.Order`."""

    batches: int
    alone: float
    arriving: float
    steady: float


FULL: Final = Size(500, alone=15, arriving=60, steady=45)
QUICK: Final = Size(30, alone=6, arriving=11, steady=4)


@dataclass(frozen=True)
class Place:
    """What the triggers of all kinds work with.

    :param variables: the environment of the processes in which they run.
    """

    folder: Path
    simulator: Simulator
    variables: dict[str, str]


@dataclass(frozen=True)
class Seen:
    """What one kind did to its loop, and what it asked for."""

    stay: Stay
    requests_a_second: float


def measure(*, quick: bool = False, size: Size | None = None, kinds: Sequence[str] = ()) -> list[Figure]:
    """Run all kinds, one after the other, each in a process of its own."""
    chosen = size or (QUICK if quick else FULL)
    with _place() as place:
        batch_ids = _waiting_batches(place, chosen.batches)
        compared = kinds or (_QUICK_KINDS if quick else tuple(_NAMES))
        seen = {kind: _run(place, _order(kind, batch_ids, chosen)) for kind in compared}
    return figures_of(seen, chosen.batches)


def _order(kind: str, batch_ids: list[str], size: Size) -> Order:
    """Give ours the time that they take to look for the first time; the others look at once."""
    share = 1.0 if kind == "ours" else _SHARE_OF_OTHERS
    return Order(kind, batch_ids, share * size.alone, share * size.arriving, size.steady)


def figures_of(seen: dict[str, Seen], number: int) -> list[Figure]:
    """Compare the kinds."""
    ours, sensors = seen["ours"], seen["http_sensors"]
    return [
        Figure(
            f"event loop held up by {number} waiting batches, at worst",
            max(ours.stay.worst_arriving, ours.stay.worst_steady),
            "s",
            "; ".join(_stalls(kind, one.stay) for kind, one in seen.items()),
            BLOCKED,
            bars=_bars(seen, "Event loop held up, at worst, ms", lambda one: 1000 * _worst(one.stay)),
        ),
        Figure(
            "memory of a waiting batch, of that of an HttpSensorTrigger",
            ours.stay.memory / max(1, sensors.stay.memory),
            "×",
            " beside ".join(f"{one.stay.memory / number / 1024:.0f} kB ({_NAMES[kind]})" for kind, one in seen.items()),
            bars=_bars(seen, "Memory of a trigger, kB", lambda one: max(0.0, one.stay.memory / number / 1024)),
        ),
        Figure(
            f"requests of {number} HttpSensorTriggers, of those of as many waiting batches",
            sensors.requests_a_second / max(ours.requests_a_second, 1e-9),
            "×",
            f"{sensors.requests_a_second:.1f} a second beside {ours.requests_a_second:.2f}",
            bars=_bars(seen, "Requests a second", lambda one: one.requests_a_second),
        ),
        Figure(
            "processor time of waiting batches, of that of HttpSensorTriggers",
            ours.stay.processor / max(sensors.stay.processor, 1e-9),
            "×",
            " beside ".join(f"{one.stay.processor:.1%} of a core ({_NAMES[kind]})" for kind, one in seen.items()),
        ),
    ]


def _worst(stay: Stay) -> float:
    return max(stay.worst_arriving, stay.worst_steady)


def _stalls(kind: str, stay: Stay) -> str:
    times = f"{stay.worst_arriving:.3f} s while they come and {stay.worst_steady:.3f} s then"
    return f"{_NAMES[kind]} {times}, {stay.warnings} warnings of Airflow"


def _bars(seen: dict[str, Seen], chart: str, value: Callable[[Seen], float]) -> tuple[Bar, ...]:
    return tuple(Bar(chart, _NAMES[kind], value(one), is_ours=kind == "ours") for kind, one in seen.items())


@contextmanager
def _place() -> Iterator[Place]:
    """Start the service, S3 and Postgres, and tell the processes of an Airflow about them."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary, Keeper() as keeper:
        folder = Path(temporary)
        simulator = start_simulator(keeper, folder, "", ["--latency", "3600", "--slots", str(SENT), "--queue", "0"])
        s3, s3_url = start_s3(keeper, folder)
        with running_postgres(folder / "postgres") as url:
            for component in (simulator.component, s3):
                component.wait_until_ready()
            client = s3_client(s3_url)
            client.create_bucket(Bucket=BUCKET)
            for number in range(SENT):
                client.put_object(Bucket=BUCKET, Key=key_of(number), Body=jpeg(number, size=16))
            home = folder / "airflow"
            home.mkdir()
            variables = {
                **clean_environment(),
                **airflow_variables(home, home / "dags", REPOSITORY / "plugins"),
                "AIRFLOW__CORE__FERNET_KEY": "",
                "AIRFLOW_CONN_MIDJOURNEY_DEFAULT": connections.midjourney(simulator.root, max_in_flight=SENT),
                "AIRFLOW_CONN_AWS_DEFAULT": connections.aws(s3_url),
                "AIRFLOW_CONN_IMAGE_PROMPTS_DB": _metadata(url),
            }
            yield Place(folder, simulator, variables)


def _waiting_batches(place: Place, number: int) -> list[str]:
    file = place.folder / "batches.json"
    _python(place.variables, "benchmarks.waiting_batches", str(number), str(min(SENT, number)), str(file))
    ids: list[str] = json.loads(file.read_text(encoding="utf-8"))
    return ids


def _run(place: Place, order: Order) -> Seen:
    """Run one kind, and count meanwhile what it asks for."""
    ordered, seen = place.folder / f"{order.kind}.json", place.folder / f"{order.kind}-seen.json"
    ordered.write_text(json.dumps(asdict(order)), encoding="utf-8")
    counts: list[tuple[float, int]] = []
    with serving_nothing() as nothing:
        variables = place.variables | {"AIRFLOW_CONN_DESCRIBE_SERVICE": json.dumps(_http(nothing.port))}
        command = [sys.executable, "-m", "benchmarks.crowd", str(ordered), str(seen)]
        process = subprocess.Popen(command, cwd=REPOSITORY, env=variables, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            counts.append((time.time(), nothing.requests + sum(place.simulator.totals()["requests"].values())))
            time.sleep(_COUNTED_EVERY)
    if process.returncode:
        raise SystemExit(f"{order.kind} ended with {process.returncode}")
    stay = Stay(**json.loads(seen.read_text(encoding="utf-8")))
    return Seen(stay, _between(counts, stay.steady_from, stay.steady_until))


def _between(counts: Sequence[tuple[float, int]], since: float, until: float) -> float:
    """Give how many there were a second in some time."""
    inside = [(moment, count) for moment, count in counts if since <= moment <= until]
    (first, before), (last, after) = inside[0], inside[-1]
    return (after - before) / (last - first)


def _http(port: int) -> dict[str, object]:
    return {"conn_type": "http", "host": "127.0.0.1", "port": port, "schema": "http"}


def _metadata(url: str) -> str:
    return connections.metadata(MetadataPlace(url, TableNames()))


def _python(variables: dict[str, str], module: str, *words: str) -> None:
    command = [sys.executable, "-m", module, *words]
    subprocess.run(command, cwd=REPOSITORY, env=variables, check=True, stdout=subprocess.DEVNULL)
