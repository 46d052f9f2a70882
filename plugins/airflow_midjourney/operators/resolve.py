"""Deciding about doubtful images: a person's job, made small."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow_midjourney.arguments import read_scope
from airflow_midjourney.operators.scope import ImageScopeOperator
from airflow_midjourney.runtime import airflow_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_midjourney.describe.admin.resolve import DoubtfulRow
    from airflow_midjourney.describe.table.database import Database


class ResolveDoubtsOperator(ImageScopeOperator):
    """List the images whose submission had no answer, and decide about them.

    Such an image may have been taken and billed. Look at the service's own pages or bill, then ``release`` the image
    (it is sent again by the next run, and perhaps paid for twice), ``fail`` it (it stays failed as ``lost``), or
    ``adopt`` the task that the service made of it (nothing more is paid). ``list`` only says which there are.

    A retry decides about what is still doubtful, so it does nothing twice.

    Takes ``bucket`` and ``prefix`` or ``keys``, ``bot_type`` and ``db_conn_id`` of
    :class:`~airflow_midjourney.operators.scope.ImageScopeOperator`.

    :param bucket: the bucket (templated).
    :param action: ``list``, ``release``, ``fail`` or ``adopt`` (templated).
    :param remote_task_id: for ``adopt``: the id of the service's task; the arguments must name one image (templated).
    """

    template_fields: Sequence[str] = ("action", "remote_task_id", *ImageScopeOperator.template_fields)
    ui_color = "#fff8e1"

    def __init__(self, *, bucket: str, action: str = "list", remote_task_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(bucket=bucket, **kwargs)
        self.action = action
        self.remote_task_id = remote_task_id

    def execute(self, context: Context) -> int:
        """Decide.

        :return: how many images were decided about, or listed.
        """
        with airflow_errors():
            return asyncio.run(self._resolve(f"{context['ti'].dag_id} {context['ti'].run_id}"))

    async def _resolve(self, decided_by: str) -> int:
        from airflow_midjourney.describe.admin import resolve
        from airflow_midjourney.describe.admin.resolve import Action
        from airflow_midjourney.describe.model.choices import read_member
        from airflow_midjourney.hooks.image_prompts import open_metadata

        scope = read_scope(
            bucket=self.bucket,
            prefix=self.prefix,
            keys=self.keys,
            whole_bucket=self.whole_bucket,
            bot_type=self.bot_type,
        )
        action = read_member(Action, "action", self.action)
        database = open_metadata(self.db_conn_id)
        rows = await database.read(resolve.doubtful_rows, scope)
        for row in rows:
            twins = f"; {row.twins} image(s) here with the same bytes wait for it" if row.twins else ""
            self.log.info("In doubt: %s (account %s)%s: %s", row.image_uri, row.account, twins, row.detail)
        if action is Action.LIST:
            self.log.info("%d images are in doubt in %s.", len(rows), scope.describe())
            return len(rows)
        number = await self._decide(database, action, rows, decided_by)
        await database.write(resolve.settle_twins)
        self.log.info("%s: %d of %d doubtful images.", action.value, number, len(rows))
        return number

    async def _decide(self, database: Database, action: Any, rows: Sequence[DoubtfulRow], decided_by: str) -> int:
        from airflow_midjourney.describe.admin import resolve
        from airflow_midjourney.describe.admin.resolve import Action

        if action is Action.ADOPT:
            task_id = _task_id(self.remote_task_id)
            return int(await database.write(resolve.adopt, rows, task_id, decided_by))
        decide = resolve.release if action is Action.RELEASE else resolve.fail
        return sum([await database.write(decide, row, decided_by) for row in rows])


def _task_id(value: str | None) -> str:
    from airflow_midjourney.describe.model.errors import SettingsError

    task_id = str(value or "").strip()
    if task_id in ("", "None"):
        raise SettingsError("adopt needs remote_task_id, the id of the service's task.")
    return task_id
