"""Waiting for the prompts of a batch."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import BaseSensorOperator, PokeReturnValue, conf
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_midjourney.arguments import read_batch_ids, read_one_of, read_origin
from airflow_midjourney.links import BatchLink, pages_line
from airflow_midjourney.observability.asset_events import tell_outlets
from airflow_midjourney.operators.scope import ImageScopeOperator
from airflow_midjourney.runtime import airflow_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow.sdk import Context

    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.engine.verdict import Verdict
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.observability.lineage import LineageFacts


class DescribeImagesSensor(ImageScopeOperator, BaseSensorOperator):
    """Wait until every image of a batch has its prompts or a reason, and judge the batch.

    Writes answers into the metadata table as they come, and submits again what failed curably after the operator
    had ended. Give it the operator's output; or, without an operator, ``bucket=`` and ``prefix=`` (and any other
    argument of :class:`~airflow_midjourney.operators.scope.ImageScopeOperator`): then it submits, too.

    A retry or a clear looks at the same batch again: it pays for nothing that has an answer, and judges all that
    ended since the batch first started.

    The task fails, without a retry, if too many images failed, or if not one succeeded and some failed, are gone or may
    not be read; ends skipped if a cap left images pending, if nothing was found (``on_empty``), or if the batch is only
    a plan; and says in one line how many ended how. After ``timeout`` seconds in all, an argument of every sensor, it
    fails, without a retry.

    Its XCom ``return_value`` is what it has waited for: the batch id, or the list of ids that it was given. A task
    that takes ``wait.output`` therefore runs when the prompts are there.

    :param batch: one batch id, or the list that a mapped operator gives (templated). If given, ``bucket`` and what
        goes with it are not looked at.
    :param max_failure_rate: failed and doubtful images, as a share of those and the succeeded, 0 to 1, above which
        the task fails. It also fails if some failed and not one succeeded.
    :param max_rejected_rate: rejected images, as a share of all that ended, 0 to 1, above which the task fails.
    :param on_cap: at a cap with images left, ``skip`` ends the task skipped, so that nothing runs on half of the
        data; ``finish`` ends it well; ``wait`` waits for the next day where a daily cap is the reason (templated).
    :param deferrable: True to free the worker during waits of 15 seconds and more. Otherwise ``mode`` and
        ``poke_interval`` say how it waits.
    :raises ValueError: if neither ``batch`` nor ``bucket`` nor ``manifest`` is given.
    """

    template_fields: Sequence[str] = ("batch", "on_cap", *ImageScopeOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **ImageScopeOperator.template_fields_renderers,
        "batch": "json",
    }
    ui_color = "#e8f5e9"
    operator_extra_links = (BatchLink(),)

    def __init__(
        self,
        *,
        batch: str | Iterable[str] | None = None,
        max_failure_rate: float = 0.05,
        max_rejected_rate: float = 1.0,
        on_cap: Literal["skip", "wait", "finish"] | str = "skip",
        poke_interval: float | timedelta = 15.0,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        if batch is None and self.bucket is None and self.manifest is None:
            raise ValueError("Give the sensor the operator's output, batch=submit.output, or bucket= and prefix=.")
        # Templating may make nothing of batch=; that must not start a batch of the sensor's own.
        self._has_own_batch = batch is None
        self.batch = batch
        self.max_failure_rate = max_failure_rate
        self.max_rejected_rate = max_rejected_rate
        self.on_cap = on_cap
        self.deferrable = deferrable
        self._lineage: LineageFacts | None = None
        self._found_ids: list[str] = []
        self._waits_for: dict[str, tuple[Database, AccountSettings]] = {}

    @property
    def _at_cap(self) -> str:
        with airflow_errors():
            return read_one_of(self.on_cap, "on_cap", ("skip", "wait", "finish"))

    def execute(self, context: Context) -> Any:
        """Begin to wait."""
        with airflow_errors():
            asyncio.run(self._begin(context))
        self._has_begun = True
        if not self.deferrable:
            with self.ending_with_pages(context):
                return super().execute(context)
        # As after a wait, so that soft_fail and never_fail hold for both.
        return self.resume_execution("execute_complete", None, context)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str | list[str]:
        """Go on after a wait. The table knows what has ended; the event is only a reason to look."""
        with airflow_errors():
            open_ids = asyncio.run(self._wait(context))
        if open_ids:
            self._leave(open_ids, self._seconds_left(context))
        return self._finish(context)

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Do what can be done now; the end, with the batches, when every image of every batch has ended."""
        with airflow_errors():
            all_ended = asyncio.run(self._poke(context))
        return PokeReturnValue(is_done=True, xcom_value=self._finish(context)) if all_ended else False

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        """Let callbacks end Airflow's sleep between two pokes: it is slept here, and Airflow has nothing left to sleep.

        An Airflow without this method of its own would sleep as ever.
        """
        interval: float = super()._get_next_poke_interval(*args, **kwargs)
        if self.reschedule or not self._waits_for:
            return interval
        with airflow_errors():
            asyncio.run(self._listen(interval))
        return 0.0

    async def _listen(self, seconds: float) -> None:
        from airflow_midjourney.describe.engine.waiting import pause

        called = asyncio.Event()

        async def listen_to(database: Database, account: AccountSettings) -> None:
            await pause(database, account, seconds, called)
            called.set()

        await asyncio.gather(*(listen_to(*account) for account in self._waits_for.values()))

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Tell OpenLineage from which prefixes into which table, and how it went."""
        from airflow_midjourney.observability.lineage import operator_lineage

        return operator_lineage(self._lineage)

    async def _batch_ids(self, context: Context) -> list[str]:
        """Give the ids of the batches to wait for.

        A task that was marked successful by hand, or whose XCom was cleared, gives no id; the table still knows the
        batches that the tasks before this one have opened in this run.

        :raises SettingsError: if there is none.
        """
        from airflow_midjourney.describe.model.errors import SettingsError
        from airflow_midjourney.describe.table.batches import batches_of_tasks
        from airflow_midjourney.hooks.image_prompts import open_metadata

        origin = read_origin(context)
        if self._has_own_batch:
            return [origin.batch_id]
        if ids := self._found_ids or read_batch_ids(self.batch):
            return ids
        database, run = open_metadata(self.db_conn_id), (origin.dag_id or "", origin.run_id or "")
        for tasks in self._tasks_before():
            if ids := await database.read(batches_of_tasks, *run, tasks, origin.map_index):
                break
        else:
            before = ", ".join(chain.from_iterable(self._tasks_before())) or "there is none"
            raise SettingsError(
                f"batch= is empty, and no task before this one ({before}) has opened a"
                " batch in this run. Give the sensor the operator's output, batch=submit.output; if the operator was"
                " marked successful before it ran, clear it."
            )
        self.log.info("batch= is empty: waiting for what the tasks before this one have opened: %s", ", ".join(ids))
        self._found_ids = ids
        return ids

    def _tasks_before(self) -> Iterator[list[str]]:
        """Give the ids of the tasks that run before this one, step by step, the nearest first."""
        step, seen = set(self.upstream_task_ids), {self.task_id}
        while step:
            yield sorted(step)
            seen |= step
            step = {before for one in step for before in self.dag.get_task(one).upstream_task_ids} - seen

    async def _begin(self, context: Context) -> None:
        """Open the batch, or note that a new try of it starts; a rescheduled sensor has done so already."""
        from airflow_midjourney.describe.table.batches import begin_try
        from airflow_midjourney.hooks.image_prompts import open_metadata

        if context.get("task_reschedule_count", 0):
            return
        if self._has_own_batch:
            await self.open_batch(context)
            return
        database = open_metadata(self.db_conn_id)
        for batch_id in await self._batch_ids(context):
            await database.write(begin_try, batch_id)

    async def _poke(self, context: Context) -> bool:
        from airflow_midjourney.describe.engine.loop import work_off
        from airflow_midjourney.describe.engine.reporting import ProgressReport

        report = ProgressReport(self.log.info)
        all_ended = True
        self._waits_for = {}
        for batch_id in await self._batch_ids(context):
            async with self.working(batch_id, context["ti"].try_number) as worker:
                progress = await work_off(worker, batch_id)
                await report.tell(worker, progress)
                if not self._has_ended(progress):
                    all_ended = False
                    if worker.account.callbacks:
                        self._waits_for[worker.account.identity] = (worker.database, worker.account)
        return all_ended

    async def _wait(self, context: Context) -> list[str]:
        """Work on the batches one after the other; the trigger or the next poke waits for batches that stay open.

        :return: the ids of the batches that are still open.
        :raises AirflowSensorTimeout: when the sensor's time is over.
        """
        from airflow_midjourney.describe.engine.loop import work
        from airflow_midjourney.describe.engine.reporting import ProgressReport

        def enough(progress: Progress) -> bool:
            return self._has_ended(progress) or self._seconds_left(context) <= 0

        open_ids = []
        for batch_id in await self._batch_ids(context):
            async with self.working(batch_id, context["ti"].try_number) as worker:
                report = ProgressReport(self.log.info)
                progress = await work(worker, batch_id, report, until=enough, may_leave=True)
                if not self._has_ended(progress):
                    open_ids.append(batch_id)
        if open_ids and self._seconds_left(context) <= 0:
            raise AirflowSensorTimeout(f"The batch has not ended within the sensor's timeout of {self.timeout:g} s.")
        return open_ids

    def _seconds_left(self, context: Context) -> float:
        started = context["ti"].start_date or datetime.now(UTC)
        return self.timeout - (datetime.now(UTC) - started).total_seconds()

    def _leave(self, open_ids: list[str], seconds_left: float) -> None:
        from airflow_midjourney.triggers.describe import BatchTrigger, Until

        until = Until.UNCAPPED if self._at_cap == "wait" else Until.ENDED
        self.log.info("Waiting for %d batch(es): freeing the worker.", len(open_ids))
        self.defer(
            trigger=BatchTrigger(batch_ids=open_ids, db_conn_id=self.db_conn_id, until=until),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(seconds_left, 1.0)),
        )

    def _finish(self, context: Context) -> str | list[str]:
        """Say how the batches ended, and fail or skip if that is not good enough.

        :return: the batch id, or the ids where a list of them was given.
        :raises AirflowFailException: if too many images failed or were rejected.
        :raises AirflowSkipException: if a cap, or a plan, left images pending, or if nothing was found in any scope.
        """
        from airflow_midjourney.describe.engine.verdict import Ending

        with airflow_errors():
            verdicts, batch_ids = asyncio.run(self._judge(context))
        for verdict in verdicts:
            self.log.log(logging.WARNING if verdict.ending is Ending.EMPTY else logging.INFO, verdict.message)
        judged = list(zip(batch_ids, verdicts, strict=True))
        if bad := {batch_id: verdict.message for batch_id, verdict in judged if verdict.ending is Ending.BAD}:
            raise AirflowFailException("\n".join([*bad.values(), pages_line(list(bad))]))
        incomplete = [verdict.message for verdict in verdicts if verdict.ending is Ending.INCOMPLETE]
        if incomplete and self._at_cap == "skip":
            raise AirflowSkipException(" ".join(incomplete))
        if verdicts and all(verdict.ending is Ending.EMPTY for verdict in verdicts):
            raise AirflowSkipException(" ".join(verdict.message for verdict in verdicts))
        return batch_ids[0] if len(batch_ids) == 1 and self._asks_for_one else batch_ids

    @property
    def _asks_for_one(self) -> bool:
        return self.batch is None or isinstance(self.batch, str)

    async def _judge(self, context: Context) -> tuple[list[Verdict], list[str]]:
        from airflow_midjourney.describe.engine.verdict import Ending, Tolerance, Verdict, judge
        from airflow_midjourney.describe.table.batches import read_batch
        from airflow_midjourney.describe.table.counts import count
        from airflow_midjourney.hooks.image_prompts import open_metadata
        from airflow_midjourney.observability.lineage import lineage_facts

        tolerance = Tolerance(self.max_failure_rate, self.max_rejected_rate)
        database = open_metadata(self.db_conn_id)
        verdicts, counted = [], []
        batch_ids = await self._batch_ids(context)
        for batch_id in batch_ids:
            batch = await database.read(read_batch, batch_id)
            counts = await database.read(count, batch)
            if batch.options.plan_only:
                verdicts.append(Verdict(Ending.INCOMPLETE, f"Batch {batch_id} is only a plan: nothing was submitted."))
            else:
                verdicts.append(judge(batch, counts, tolerance, database.tables.images.fullname, self.on_empty))
            counted.append((batch, counts))
        self._lineage = lineage_facts(database, counted)
        context["ti"].xcom_push(key="counts", value=list(self._lineage.batches))
        tell_outlets(context, self._lineage.batches)
        return verdicts, batch_ids

    def _has_ended(self, progress: Progress) -> bool:
        """Say whether there is nothing to wait for; a plan has nothing of its own on its way."""
        if progress.batch.options.plan_only:
            return progress.listing_ended
        return progress.all_ended and not (self._at_cap == "wait" and progress.waits_for_tomorrow)
