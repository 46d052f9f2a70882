"""Which run will send images that are pending again, and where none will, why not and how to send them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow.models.dag import DagModel
from airflow.models.serialized_dag import SerializedDagModel

from airflow_midjourney.describe.queries.senders import Sender, senders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.table.database import Database


class Hindrance(StrEnum):
    """Why no run will send images by itself, in words that follow the number of images."""

    DAG_GONE = "its DAG is not in Airflow any more"
    TASK_GONE = "the DAG has no task of this name any more"
    LEFT_ALONE = "the task leaves alone what earlier runs left over (backlog=none), or has other connections by now"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What becomes of the images of one task.

    :param hindrance: None if the task's next run sends them.
    :param waits_for: what a person has to do before there is a next run; empty for nothing.
    """

    sender: Sender
    hindrance: Hindrance | None
    waits_for: str = ""

    @property
    def command(self) -> str:
        """A command that has them sent, whatever became of the task."""
        conf = json.dumps({"bucket": self.sender.bucket, "prefix": self.sender.prefix}, ensure_ascii=False)
        quoted = conf.replace("'", "'\\''")
        return f"airflow dags trigger describe_images --conf '{quoted}'"


async def outlook(database: Database, image_ids: Sequence[int]) -> list[Outlook]:
    """Say which runs will send these images."""
    tasks = await database.read_now(senders, image_ids)
    return [await asyncio.to_thread(_of_task, sender) for sender in tasks]


def _of_task(sender: Sender) -> Outlook:
    dag = DagModel.get_dagmodel(sender.dag_id)
    if dag is None or dag.is_stale:
        return Outlook(sender, Hindrance.DAG_GONE)
    written = SerializedDagModel.get_dag(sender.dag_id)
    if written is not None and not written.has_task(sender.task_id):
        return Outlook(sender, Hindrance.TASK_GONE)
    if not sender.takes_left_over:
        return Outlook(sender, Hindrance.LEFT_ALONE)
    if dag.is_paused:
        return Outlook(sender, None, "The DAG is paused: its runs wait until it is switched on.")
    if dag.next_dagrun_create_after is None:
        return Outlook(sender, None, "No run of it is planned: trigger it.")
    return Outlook(sender, None)
