"""A person decides about doubtful images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from sqlalchemy import select

from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.operators.resolve import ResolveDoubtsOperator
from tests.support import rows
from tests.support.airflow_home import REPOSITORY
from tests.support.airflow_runs import make_dag, run_dag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


@pytest.fixture
def doubtful(
    sqlite_place: MetadataPlace, connect: Callable[..., None], simulate: Callable[..., RunningSimulator]
) -> Iterator[Database]:
    """A table in which two images are in doubt and one has its prompts."""
    connect(simulate(dialect="novicezk"), sqlite_place)
    database = open_database(sqlite_place.url, sqlite_place.names)
    ensure_tables(database)
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed(f"in/{name}.jpg") for name in "abc"])
        for _ in range(2):
            rows.claim_next(tx, batch)
        done = rows.submit_next(tx, batch)
        rows.described(tx, done, rows.four_prompts(), "raw", rows.results.RemoteTimes())
        tx.connection.execute(tx.tables.images.update().values(in_doubt_after=rows.LONG_AGO))
        rows.submissions.doubt_overdue(tx)
    yield database
    database.close()


def resolve(**arguments: Any) -> tuple[str | None, Any]:
    with make_dag() as dag:
        ResolveDoubtsOperator(task_id="resolve", bucket=rows.BUCKET, prefix="in/", **arguments)
    run = run_dag(dag)
    return run.state_of("resolve"), run.xcom("resolve")


def statuses(database: Database) -> list[str]:
    images = database.tables.images.c
    with database.reading() as tx:
        return list(tx.connection.execute(select(images.status).order_by(images.key)).scalars())


def test_listing_changes_nothing(doubtful: Database) -> None:
    assert resolve() == ("success", 2)
    assert statuses(doubtful) == [Status.IN_DOUBT, Status.IN_DOUBT, Status.SUCCEEDED]


def test_released_images_are_pending_again(doubtful: Database) -> None:
    assert resolve(action="release") == ("success", 2)
    assert statuses(doubtful) == [Status.PENDING, Status.PENDING, Status.SUCCEEDED]


def test_images_that_are_given_up_are_lost(doubtful: Database) -> None:
    assert resolve(action="fail") == ("success", 2)
    assert statuses(doubtful) == [Status.FAILED, Status.FAILED, Status.SUCCEEDED]
    with doubtful.reading() as tx:
        assert {row["reason"] for row in rows.image_rows(tx)} == {"lost", None}


def test_an_adopted_task_is_asked_for_like_any_other(doubtful: Database) -> None:
    with make_dag() as dag:
        ResolveDoubtsOperator(
            task_id="resolve", bucket=rows.BUCKET, keys=["in/a.jpg"], action="adopt", remote_task_id="1754207000123456"
        )
    run = run_dag(dag)

    assert (run.state_of("resolve"), run.xcom("resolve")) == ("success", 1)
    with doubtful.reading() as tx:
        adopted = rows.image_rows(tx)[0]
    assert (adopted["status"], adopted["task_id"]) == (Status.SUBMITTED, "1754207000123456")


def test_the_example_dag_does_as_its_parameters_say(doubtful: Database) -> None:
    bag = DagBag(dag_folder=str(REPOSITORY / "dags" / "midjourney_resolve.py"))
    assert not bag.import_errors

    run = run_dag(bag.dags["midjourney_resolve"], {"bucket": rows.BUCKET, "prefix": "in/a.jpg", "action": "release"})

    assert run.state_of("resolve") == "success"
    assert statuses(doubtful) == [Status.PENDING, Status.IN_DOUBT, Status.SUCCEEDED]


@pytest.mark.parametrize(
    "arguments", [{"action": "adopt", "remote_task_id": "1"}, {"action": "adopt"}, {"action": "forget"}]
)
def test_what_cannot_be_decided_is_refused(doubtful: Database, arguments: dict[str, str]) -> None:
    assert resolve(**arguments)[0] == "failed"
    assert statuses(doubtful) == [Status.IN_DOUBT, Status.IN_DOUBT, Status.SUCCEEDED]


@pytest.mark.parametrize("action", ["release", "fail"])
def test_the_twin_of_another_dags_doubtful_image_is_listed_and_decided_with_it(doubtful: Database, action: str) -> None:
    with doubtful.writing() as tx:
        rows.list_images(tx, [rows.listed("mine/twin.jpg")])
        images = tx.tables.images
        leader = tx.connection.execute(select(images.c.id).where(images.c.key == "in/a.jpg")).scalar_one()
        twin = images.c.key == "mine/twin.jpg"
        tx.connection.execute(images.update().where(twin).values(shares_id=leader))

    with make_dag() as dag:
        ResolveDoubtsOperator(task_id="show", bucket=rows.BUCKET, prefix="mine/")
        ResolveDoubtsOperator(task_id="decide", bucket=rows.BUCKET, prefix="mine/", action=action)
        dag.get_task("show").set_downstream(dag.get_task("decide"))
    run = run_dag(dag)

    assert (run.xcom("show"), run.xcom("decide")) == (1, 1)
    with doubtful.reading() as tx:
        found = dict(tx.connection.execute(select(tx.tables.images.c.key, tx.tables.images.c.status)).tuples().all())
    assert found["in/a.jpg"] != Status.IN_DOUBT
    assert found["in/b.jpg"] == Status.IN_DOUBT
