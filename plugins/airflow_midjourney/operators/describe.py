"""Submitting the images of a prefix."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import conf

from airflow_midjourney.arguments import read_origin, read_yes_or_no
from airflow_midjourney.links import BatchLink
from airflow_midjourney.observability.asset_events import tell_outlets
from airflow_midjourney.operators.scope import ImageScopeOperator
from airflow_midjourney.runtime import airflow_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.observability.lineage import LineageFacts


class DescribeImagesOperator(ImageScopeOperator):
    """Submit the images under an S3 prefix that have no prompts yet, and give the batch id to a sensor.

    Lists the scope, compares it with the metadata table, and submits what is new or was replaced, as fast as the
    account has room. Ends when nothing of the batch is left to submit; the answers are the business of
    :class:`~airflow_midjourney.sensors.describe.DescribeImagesSensor`.

    A retry goes on where the try before it stopped, with the same batch: nothing that was submitted is submitted
    again. A clear lists the scope anew and submits only what has come or changed since. Images that failed or were
    rejected stay so.

    The batch id is the XCom ``return_value``, a string; counts are under the XCom key ``counts``. All arguments of
    :class:`~airflow_midjourney.operators.scope.ImageScopeOperator` are taken, too.

    .. seealso:: ``docs/architecture.md`` for what a batch is.

    :param bucket: the bucket (templated); may be left out with ``manifest``.
    :param plan_only: True to list, compare and price, and to write and submit nothing (templated).
    :param deferrable: True to free the worker during waits of 15 seconds and more.
    """

    template_fields: Sequence[str] = (*ImageScopeOperator.template_fields, "plan_only")
    ui_color = "#e8f0fe"
    operator_extra_links = (BatchLink(),)

    def __init__(
        self,
        *,
        bucket: str | None = None,
        plan_only: bool | str = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(bucket=bucket, **kwargs)
        if bucket is None and self.manifest is None:
            raise ValueError("Give the operator bucket=, or manifest= with a list that names the bucket.")
        self.plan_only = plan_only
        self.deferrable = deferrable
        self._lineage: LineageFacts | None = None

    def execute(self, context: Context) -> str:
        """Open the batch and submit."""
        with airflow_errors():
            asyncio.run(self.open_batch(context, plan_only=self._only_plans))
        self._has_begun = True
        with self.ending_with_pages(context):
            return self.execute_complete(context)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        """Go on after a wait. The table knows where; the event is only a reason to look."""
        batch_id = read_origin(context).batch_id
        with airflow_errors():
            progress = asyncio.run(self._work(context, batch_id))
        if not self._is_done(progress):
            self._leave(batch_id, context)
        return batch_id

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Tell OpenLineage which prefixes this task read, and which table it wrote."""
        from airflow_midjourney.observability.lineage import operator_lineage

        return operator_lineage(self._lineage)

    @property
    def _only_plans(self) -> bool:
        with airflow_errors():
            return read_yes_or_no(self.plan_only, "plan_only")

    def _is_done(self, progress: Progress) -> bool:
        return progress.listing_ended if self._only_plans else progress.all_submitted

    def _leave(self, batch_id: str, context: Context) -> None:
        from airflow_midjourney.triggers.describe import BatchTrigger, Until

        self.log.info("No room for a while: freeing the worker.")
        self.defer(
            trigger=BatchTrigger(batch_ids=[batch_id], db_conn_id=self.db_conn_id, until=Until.SUBMITTED),
            method_name="execute_complete",
            timeout=self._time_left(context),
        )

    def _time_left(self, context: Context) -> timedelta | None:
        """Give what is left of ``execution_timeout``; it begins once, not anew with each wait."""
        if self.execution_timeout is None:
            return None
        now = datetime.now(UTC)
        return max(self.execution_timeout - (now - (context["ti"].start_date or now)), timedelta(seconds=1))

    async def _work(self, context: Context, batch_id: str) -> Progress:
        from airflow_midjourney.describe.engine.loop import work
        from airflow_midjourney.describe.engine.reporting import ProgressReport

        origin = read_origin(context)
        async with self.working(batch_id, origin.try_number) as worker:
            report = ProgressReport(self.log.info)
            progress = await work(worker, batch_id, report, until=self._is_done, may_leave=self.deferrable)
            if self._is_done(progress):
                counts = await self._tell(worker, progress)
                context["ti"].xcom_push(key="counts", value=counts)
                tell_outlets(context, [{"batch": batch_id, **counts}])
                await self._look_whether_empty(worker, progress.batch)
        return progress

    async def _look_whether_empty(self, worker: Worker, batch: Batch) -> None:
        """Warn where nothing was found; the sensor ends by ``on_empty``.

        :raises BatchError: if that is ``fail``.
        """
        from airflow_midjourney.describe.engine.verdict import is_empty, summary
        from airflow_midjourney.describe.model.errors import BatchError
        from airflow_midjourney.describe.table.counts import count

        counts = await worker.database.read(count, batch)
        if not is_empty(batch, counts):
            return
        if batch.options.on_empty == "fail":
            raise BatchError(
                f"{summary(batch, counts)} Check bucket and prefix, or set on_empty to 'skip' or 'finish'."
            )
        self.log.warning(summary(batch, counts))

    async def _tell(self, worker: Worker, progress: Progress) -> dict[str, Any]:
        """Say what was found and sent.

        :return: plain counts for the XCom: what the listing found under ``listed``, and the rows by status, or for a
            plan what it would come to under ``plan``.
        """
        from airflow_midjourney.describe.engine.plan import plan_of
        from airflow_midjourney.describe.engine.reporting import listing_line, submitted_line
        from airflow_midjourney.describe.table.counts import count
        from airflow_midjourney.describe.table.latency import throughput
        from airflow_midjourney.observability.lineage import lineage_facts

        batch = progress.batch
        self.log.info(listing_line(batch))
        if self._only_plans:
            measured = await worker.database.read(throughput, worker.account.identity)
            plan = plan_of(batch, worker.account, measured)
            self.log.info(plan.line())
            return {"listed": batch.listed.to_json(), "plan": plan.to_json()}
        counts = await worker.database.read(count, batch)
        self._lineage = lineage_facts(worker.database, [(batch, counts)])
        self.log.info(submitted_line(progress, counts))
        return {"listed": batch.listed.to_json(), **counts.to_json()}
