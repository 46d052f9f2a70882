"""Pausing and resuming an account from a DAG."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_midjourney.runtime import airflow_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.database import Transaction


class PauseAction(StrEnum):
    """What is done to the account."""

    PAUSE = "pause"
    RESUME = "resume"


class PauseAccountOperator(BaseOperator):
    """Stop all submissions over the account of a connection, of all DAGs, or let them go on.

    Images in flight are still fetched, and tasks with something to send wait. A pause holds until the account is
    resumed: by this operator, by the button on the page of a batch, or by ``POST /midjourney/api/account/resume``. The
    table says which run paused it, and when.

    Pausing what is paused, or resuming what goes on, changes nothing.

    :param action: ``pause`` or ``resume`` (templated).
    :param mj_conn_id: connection whose account it is (templated).
    :param db_conn_id: connection of the database with the metadata table (templated).
    """

    template_fields: Sequence[str] = ("action", "mj_conn_id", "db_conn_id")
    ui_color = "#fff8e1"

    def __init__(
        self,
        *,
        action: str = "pause",
        mj_conn_id: str = "midjourney_default",
        db_conn_id: str = "image_prompts_db",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.action = action
        self.mj_conn_id = mj_conn_id
        self.db_conn_id = db_conn_id

    def execute(self, context: Context) -> bool:
        """Pause or resume.

        :return: whether that changed something.
        """
        with airflow_errors():
            return self._change(f"{context['ti'].dag_id} {context['ti'].run_id}")

    def _change(self, ordered_by: str) -> bool:
        from airflow_midjourney.describe.model.choices import read_member
        from airflow_midjourney.describe.table.orders.pauses import pause_accounts
        from airflow_midjourney.hooks.image_prompts import open_metadata
        from airflow_midjourney.hooks.midjourney import MidjourneyHook

        action, database = read_member(PauseAction, "action", self.action), open_metadata(self.db_conn_id)
        account = MidjourneyHook(self.mj_conn_id).account()
        if action is PauseAction.PAUSE:
            changed = bool(database.write_here(pause_accounts, [account], ordered_by))
        else:
            changed = bool(database.write_here(_resume, account, ordered_by))
        if changed:
            self.log.info("The account of connection %r is %sd.", self.mj_conn_id, action.value)
        else:
            state = "paused" if action is PauseAction.PAUSE else "not paused"
            self.log.info("The account of connection %r was %s already: nothing was changed.", self.mj_conn_id, state)
        return changed


def _resume(tx: Transaction, account: AccountSettings, resumed_by: str) -> list[str]:
    """Let an account go on from the pause that it has at this moment."""
    from airflow_midjourney.describe.table.accounts import ensure_account, read_account
    from airflow_midjourney.describe.table.orders.pauses import SeenPause, resume_accounts

    ensure_account(tx, account)
    seen = SeenPause(account, read_account(tx, account.identity).paused_at)
    return resume_accounts(tx, [seen], resumed_by)
