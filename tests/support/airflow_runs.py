"""Running DAGs in this process, as ``airflow dags test`` does, and seeing what became of them."""

from __future__ import annotations

import functools
import os
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import airflow
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.models.xcom import XComModel
from airflow.sdk import DAG
from airflow.sdk.definitions.dag import _run_task
from airflow.sdk.execution_time import supervisor, task_runner
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor
from tests.support.airflow_home import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.models.dagrun import DagRun

_BUNDLE = "dags-folder"

_one_api: Final = functools.cache(supervisor.in_process_api_server)


@dataclass
class Troubles:
    """What tasks of a DAG raised, in the order in which they did.

    :param before_retry: called with the task id when a task is about to be tried again.
    """

    failed: list[BaseException] = field(default_factory=list)
    retried: list[BaseException] = field(default_factory=list)
    before_retry: Callable[[str], None] = lambda task_id: None

    def callbacks(self) -> dict[str, Any]:
        """Give what a DAG's ``default_args`` need to record them."""

        def on_retry(context: Any) -> None:
            self.retried.append(context["exception"])
            self.before_retry(context["ti"].task_id)

        return {
            "on_failure_callback": lambda context: self.failed.append(context["exception"]),
            "on_retry_callback": on_retry,
        }


@dataclass(frozen=True)
class FinishedRun:
    """One DAG run that has ended."""

    dag: DAG
    run_id: str
    state: str

    def state_of(self, task_id: str, map_index: int = -1) -> str | None:
        """Give the state of a task."""
        return self._instance(task_id, map_index).state

    def tries_of(self, task_id: str) -> int:
        """Give how often a task was tried."""
        return self._instance(task_id).try_number

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Give what a task pushed; None if it did not."""
        with create_session() as session:
            row = session.execute(
                XComModel.get_many(
                    run_id=self.run_id,
                    key=key,
                    task_ids=task_id,
                    dag_ids=self.dag.dag_id,
                    map_indexes=map_index,
                )
            ).first()
            return None if row is None else XComModel.deserialize_value(row[0] if hasattr(row[0], "value") else row)

    def rendered(self, task_id: str) -> dict[str, Any]:
        """Give the fields of a task as the UI shows them."""
        with create_session() as session:
            instance = self._instance(task_id)
            fields = RenderedTaskInstanceFields.get_templated_fields(instance, session=session)
            return dict(fields or {})

    def clear_and_run(self, task_id: str) -> str | None:
        """Clear one task alone, run it again, and give its state."""
        with create_session() as session:
            instance = session.scalars(self._query(task_id, -1)).one()
            clear_task_instances([instance], session)
        with create_session() as session:
            instance = session.scalars(self._query(task_id, -1)).one()
            instance.try_number += 1
            session.commit()
            session.expunge(instance)
        with as_airflow_3_3_does():
            _run_task(ti=instance, task=self.dag.get_task(task_id), run_triggerer=True)
        return self.state_of(task_id)

    def _instance(self, task_id: str, map_index: int = -1) -> TaskInstance:
        with create_session() as session:
            found = session.scalars(self._query(task_id, map_index)).one()
            session.expunge_all()
            return found

    def _query(self, task_id: str, map_index: int) -> Any:
        return select(TaskInstance).where(
            TaskInstance.dag_id == self.dag.dag_id,
            TaskInstance.run_id == self.run_id,
            TaskInstance.task_id == task_id,
            TaskInstance.map_index == map_index,
        )


def example_dag() -> DAG:
    """Give ``describe_images`` as Airflow loads it."""
    bag = DagBag(dag_folder=str(REPOSITORY / "dags" / "describe_images.py"))
    assert not bag.import_errors
    dag = bag.dags["describe_images"]
    for task in dag.tasks:
        task.retry_delay = timedelta(0)
    return dag


def make_dag(troubles: Troubles | None = None, *, retries: int = 0) -> DAG:
    """Give an empty DAG with an id of its own; use it as a context manager."""
    callbacks = {} if troubles is None else troubles.callbacks()
    return DAG(
        f"dag_{uuid.uuid4().hex[:8]}",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        default_args={"retries": retries, "retry_delay": timedelta(0), **callbacks},
    )


def submit_and_wait(
    submit: dict[str, Any],
    wait: dict[str, Any] | None = None,
    troubles: Troubles | None = None,
    *,
    retries: int = 0,
) -> DAG:
    """Give a DAG of the operator and the sensor, as the README has it."""
    with make_dag(troubles, retries=retries) as dag:
        first = DescribeImagesOperator(task_id="submit", **submit)
        second = DescribeImagesSensor(task_id="wait", batch=first.output, **{"poke_interval": 0.2, **(wait or {})})
        first >> second
    return dag


def run_dag(dag: DAG, conf: dict[str, Any] | None = None, **moment: Any) -> FinishedRun:
    """Run a DAG to its end.

    :param moment: ``logical_date`` and ``run_after``, as :meth:`airflow.sdk.DAG.test` takes them.
    """
    bag = DagBag(dag_folder=os.devnull)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, _BUNDLE, None)
    with as_airflow_3_3_does():
        run: DagRun = dag.test(run_conf=conf, **moment)
    return FinishedRun(dag, run.run_id, str(run.state))


@contextmanager
def as_airflow_3_3_does() -> Iterator[None]:
    """Hand a task's exception to its callbacks, as a worker does, and serve all tasks with one API.

    dag.test() of Airflow 3.2 leaves the first out, and makes an API for every task, which takes longer than the task.
    """
    if airflow.__version__ >= "3.3":
        yield
        return
    finalize = task_runner.finalize

    def telling(ti: Any, state: Any, context: Any, log: Any, error: BaseException | None = None) -> None:
        if error is not None:
            context["exception"] = error
        finalize(ti, state, context, log, error)

    with (
        patch.object(task_runner, "finalize", telling),
        patch.object(supervisor, "in_process_api_server", _one_api),
    ):
        yield
