"""A person who answers what a run asks, through Airflow's own API code."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import airflow
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import select

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 120.0


@dataclass
class Question:
    """What a person was asked, once it was answered."""

    subject: str = ""
    body: str = ""
    problems: list[BaseException] = field(default_factory=list)


@contextmanager
def answering(dag_id: str, option: str) -> Iterator[Question]:
    """Answer the first question of a DAG's runs while the block runs."""
    question, over = Question(), threading.Event()
    person = threading.Thread(target=_answer, args=(dag_id, option, question, over), daemon=True)
    person.start()
    try:
        yield question
    finally:
        over.set()
        person.join(30)
    assert question.problems == []


def _answer(dag_id: str, option: str, question: Question, over: threading.Event) -> None:
    end = time.monotonic() + _PATIENCE
    try:
        while not over.wait(0.3) and time.monotonic() < end:
            if _answer_once(dag_id, option, question):
                return
    except Exception as error:  # noqa: BLE001
        question.problems.append(error)


def _answer_once(dag_id: str, option: str, question: Question) -> bool:
    """Answer, if a task waits for it: Airflow 3.3 parks it, 3.2 leaves it to a trigger."""
    with create_session() as session:
        waiting = select(HITLDetail, TaskInstance).join(TaskInstance, TaskInstance.id == HITLDetail.ti_id)
        found = session.execute(waiting.where(TaskInstance.dag_id == dag_id, HITLDetail.responded_at.is_(None))).first()
        if found is None:
            return False
        detail, instance = found
        if airflow.__version__ >= "3.3" and str(instance.state) != "awaiting_input":
            return False
        question.subject, question.body = detail.subject, detail.body or ""
        update_hitl_detail(
            dag_id=dag_id,
            dag_run_id=instance.run_id,
            task_id=instance.task_id,
            update_hitl_detail_payload=UpdateHITLDetailPayload(chosen_options=[option], params_input={}),
            user=SimpleAuthManagerUser(username="anna", role="admin"),
            session=session,
        )
        session.commit()
        return True
