"""Events of assets, as the REST API posts them and the scheduler hands them to a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.assets.manager import asset_manager
from airflow.models import dagrun
from airflow.models.asset import AssetDagRunQueue, AssetEvent, AssetModel
from airflow.utils.session import create_session
from sqlalchemy import delete, select

if TYPE_CHECKING:
    import pytest
    from airflow.sdk import DAG

    from tests.support.airflow_runs import FinishedRun


def post_event(name: str, **extra: Any) -> None:
    """Post an event of an asset that a DAG knows."""
    with create_session() as session:
        asset = session.scalars(select(AssetModel).where(AssetModel.name == name)).one()
        asset_manager.register_asset_change(asset=asset, extra=extra | {"from_rest_api": True}, session=session)


def events_of(name: str, run: FinishedRun | None = None) -> list[dict[str, Any]]:
    """Give what the events of an asset say, the earliest first; only the events of one run, if one is given."""
    query = select(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id).where(AssetModel.name == name)
    if run is not None:
        query = query.where(AssetEvent.source_dag_id == run.dag.dag_id, AssetEvent.source_run_id == run.run_id)
    with create_session() as session:
        return [dict(event.extra) for event in session.scalars(query.order_by(AssetEvent.id))]


def is_queued(dag: DAG) -> bool:
    """Say whether the scheduler has a reason to start a run of a DAG."""
    query = select(AssetDagRunQueue).where(AssetDagRunQueue.target_dag_id == dag.dag_id)
    with create_session() as session:
        return session.scalars(query).first() is not None


def hand_over(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the next run of ``dag.test()`` have all events of these assets, which it does not give by itself."""
    create = dagrun.get_or_create_dagrun

    def with_events(**arguments: Any) -> Any:
        run, session = create(**arguments), arguments["session"]
        query = select(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        run.consumed_asset_events.extend(session.scalars(query.where(AssetModel.name.in_(names))))
        session.commit()
        monkeypatch.setattr(dagrun, "get_or_create_dagrun", create)
        return run

    monkeypatch.setattr(dagrun, "get_or_create_dagrun", with_events)


def forget_events() -> None:
    """Remove all events, so that the next test sees its own."""
    with create_session() as session:
        session.execute(delete(AssetDagRunQueue))
        for event in session.scalars(select(AssetEvent)):
            session.delete(event)
