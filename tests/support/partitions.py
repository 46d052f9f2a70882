"""Runs of partitioned DAGs: which one the scheduler would make, and making ``dag.test()`` run it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.models import dagrun
from airflow.models.asset import AssetEvent, AssetModel
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DagRunInfo, TimeRestriction
from airflow.utils.session import create_session
from sqlalchemy import select

if TYPE_CHECKING:
    from datetime import datetime

    import pytest
    from airflow.sdk import DAG

    from tests.support.airflow_runs import FinishedRun


def scheduled_after(dag: DAG, moment: datetime) -> DagRunInfo:
    """Give the first run that the scheduler makes of a DAG at a moment or later, from the DAG as Airflow stores it."""
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    info = stored.timetable.next_dagrun_info_v2(
        last_dagrun_info=None, restriction=TimeRestriction(earliest=moment, latest=None, catchup=True)
    )
    assert info is not None
    return info


def give_partition(monkeypatch: pytest.MonkeyPatch, key: str, date: datetime | None) -> None:
    """Let the next run of ``dag.test()`` be of a partition, which it does not make by itself."""
    create = dagrun.get_or_create_dagrun

    def of_partition(**arguments: Any) -> Any:
        run = create(**arguments)
        run.partition_key, run.partition_date = key, date
        arguments["session"].commit()
        monkeypatch.setattr(dagrun, "get_or_create_dagrun", create)
        return run

    monkeypatch.setattr(dagrun, "get_or_create_dagrun", of_partition)


def partitions_told(name: str, run: FinishedRun) -> list[str | None]:
    """Give the partition of each event of an asset that a run has made."""
    query = select(AssetEvent.partition_key).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
    with create_session() as session:
        return list(session.scalars(query.where(AssetModel.name == name, AssetEvent.source_run_id == run.run_id)))
