"""Whether runs of DAGs are over, as Airflow says."""

from __future__ import annotations

import logging
from typing import Final

log = logging.getLogger(__name__)

_OVER: Final = ("success", "failed")

_NOT_FOUND: Final = 404


def run_is_over(dag_id: str, run_id: str) -> bool:
    """Ask Airflow whether a run has ended; a deleted one has. While Airflow cannot say, it counts as running.

    It blocks, and is for tasks: no other process may ask.
    """
    from airflow.sdk.exceptions import AirflowRuntimeError
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    from httpx import HTTPStatusError

    try:
        state = RuntimeTaskInstance.get_dagrun_state(dag_id=dag_id, run_id=run_id)
    except AirflowRuntimeError as error:
        return (error.error.detail or {}).get("status_code") == _NOT_FOUND
    except HTTPStatusError as error:
        # So says an Airflow that runs the task within the process of ``airflow dags test``.
        return error.response.status_code == _NOT_FOUND
    except Exception as error:  # noqa: BLE001 - whatever it is, the run may go on
        log.debug("Airflow could not say whether run %s of %s is over: %s", run_id, dag_id, type(error).__name__)
        return False
    return str(getattr(state, "value", state)) in _OVER
