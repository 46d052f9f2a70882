"""What the operator and the sensor have in common: naming images, and opening a batch for them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowRescheduleException,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from airflow_midjourney.arguments import (
    read_bucket,
    read_choice,
    read_manifest,
    read_money,
    read_origin,
    read_scope,
    read_whole_number,
)
from airflow_midjourney.describe.model.errors import DescribeError
from airflow_midjourney.links import IMAGES_BY_REASON, pages_line
from airflow_midjourney.runtime import TimeLimit, open_worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from airflow.sdk import Context

    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.model.batch import Backlog, Batch, BatchOptions, InDoubt, OnEmpty

#: For ``suffixes``: the endings that image files usually have.
IMAGE_SUFFIXES: Final = "image"


class ImageScopeOperator(BaseOperator):
    """Name the images of a batch, and the connections to work with.

    :param bucket: the bucket (templated). With a manifest it may be left out: then it is the bucket that the first
        line, or the inventory, names, else that of the manifest.
    :param prefix: one prefix, or a list of them (templated). Empty text is refused.
    :param keys: up to 1,000 keys instead of a prefix: a list, or text that is a JSON list (templated).
    :param manifest: ``s3://bucket/key`` of an object that names the images, instead of a prefix and keys, for lists of
        any length: lines of keys or URIs, CSV, or the ``manifest.json`` of an S3 Inventory in CSV (templated). It must
        not change while it is listed: then the task fails, and its next try lists the new one from the beginning.
    :param whole_bucket: True to take all objects of the bucket when no prefix is given.
    :param bot_type: ``MID_JOURNEY`` or ``NIJI_JOURNEY`` (templated). novicezk has no Niji bot and has such images
        described by the Midjourney bot.
    :param suffixes: endings of keys that count as images; ``"image"`` for the usual ones, None to go by content. Keys
        that are named one by one, with ``keys`` or in a list, count whatever they end in.
    :param max_submissions: POSTs that this task may pay for in one DAG run, over all map indexes and retries; None
        for no cap (templated). The rest stays pending.
    :param max_attempts: POSTs that one image may cost when the service itself reports a curable failure.
    :param max_cost: money that this task may spend in one DAG run, in the currency of the connection's ``price``,
        which it needs; None for no cap (templated).
    :param redescribe: describe again what ``failed``, ``all`` that was sent before, what is ``in_doubt``, or what
        was ``erased``; at most once per batch, however often it is retried or cleared. None to
        describe nothing again (templated).
    :param in_doubt: a submission without an answer may have been billed. Where the service cannot be asked about it,
        ``resubmit`` sends it once more, for at most 1 % of a batch or three images, and logs each; ``hold`` leaves
        all to a person.
    :param backlog: ``own`` to submit, after the batch's own images and as long as these are on their way, what earlier
        runs of this task have left pending when they ended; a run without images of its own submits all of it.
        ``none`` to leave it.
    :param on_empty: where nothing was found in the scope, ``skip`` ends the sensor skipped, with a warning that names
        the prefix and how many keys there were; ``finish`` ends it well; ``fail`` fails operator and sensor. None is
        what the operator of the batch was given, else ``skip``.
    :param priority: from 0, the default, to 1000 (templated). While another batch of the account has a higher one and
        images to send, this task sends only by the slots that are left, which may be none. A batch with which no task
        and no trigger has anything to do any more holds others back for two minutes at most.
    :param strip_metadata: False to send EXIF, GPS and the like along.
    :param requester_pays: True to pay for requests to a requester-pays bucket.
    :param mj_conn_id: connection of the describe service (templated).
    :param aws_conn_id: connection for S3 (templated); None for what boto3 finds by itself, such as a role.
    :param db_conn_id: connection of the database with the metadata table (templated).
    """

    template_fields: Sequence[str] = (
        "bucket",
        "prefix",
        "keys",
        "manifest",
        "bot_type",
        "max_submissions",
        "max_cost",
        "redescribe",
        "priority",
        "mj_conn_id",
        "aws_conn_id",
        "db_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"prefix": "json", "keys": "json"}

    def __init__(
        self,
        *,
        bucket: str | None = None,
        prefix: str | Sequence[str] | None = None,
        keys: str | Sequence[str] | None = None,
        manifest: str | None = None,
        whole_bucket: bool = False,
        bot_type: str = "MID_JOURNEY",
        suffixes: str | Sequence[str] | None = IMAGE_SUFFIXES,
        max_submissions: int | str | None = None,
        max_attempts: int = 2,
        max_cost: float | str | None = None,
        redescribe: str | None = None,
        in_doubt: InDoubt = "resubmit",
        backlog: Backlog = "own",
        on_empty: OnEmpty | None = None,
        priority: int | str | None = 0,
        strip_metadata: bool = True,
        requester_pays: bool = False,
        mj_conn_id: str = "midjourney_default",
        aws_conn_id: str | None = "aws_default",
        db_conn_id: str = "image_prompts_db",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bucket = bucket
        self.prefix = prefix
        self.keys = keys
        self.manifest = manifest
        self.whole_bucket = whole_bucket
        self.bot_type = bot_type
        self.suffixes = suffixes
        self.max_submissions = max_submissions
        self.max_attempts = max_attempts
        self.max_cost = max_cost
        self.redescribe = redescribe
        self.in_doubt = in_doubt
        self.backlog = backlog
        self.on_empty = on_empty
        self.priority = priority
        self.strip_metadata = strip_metadata
        self.requester_pays = requester_pays
        self.mj_conn_id = mj_conn_id
        self.aws_conn_id = aws_conn_id
        self.db_conn_id = db_conn_id
        self._worker: Worker | None = None
        self._told_to_stop = False
        self._working_since: datetime | None = None
        self._has_begun = False

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a wait, or fail because Airflow says that it took too long."""
        self._has_begun = True
        with self.ending_with_pages(context):
            return super().resume_execution(next_method, next_kwargs, context)

    @contextmanager
    def ending_with_pages(self, context: Context) -> Iterator[None]:
        """Let a failure of the task, Airflow's own timeouts among them, end with the addresses of its batches' pages.

        There is nothing to show before the batch is in the table.
        """
        try:
            yield
        except (AirflowException, AirflowTaskTimeout) as error:
            if self._has_begun and _is_a_failure(error) and IMAGES_BY_REASON not in str(error):
                self._add_pages(error, context)
            raise

    def _add_pages(self, error: BaseException, context: Context) -> None:
        try:
            batch_ids = asyncio.run(self._batch_ids(context))
        except DescribeError:
            # What has failed is said already; the table cannot be asked for more.
            return
        if batch_ids:
            error.args = (f"{error}\n{pages_line(batch_ids)}",)

    async def _batch_ids(self, context: Context) -> list[str]:
        """Give the ids of the batches that the task works on."""
        return [read_origin(context).batch_id]

    @asynccontextmanager
    async def working(self, batch_id: str, try_number: int | None) -> AsyncIterator[Worker]:
        """Give a worker that is told when the task is killed.

        :raises DescribeError: if a connection is missing or makes no sense, or the database cannot be used.
        """
        async with open_worker(self.db_conn_id, batch_id, try_number, self._time_limit()) as worker:
            self._worker = worker
            worker.told_to_stop = self._told_to_stop
            try:
                yield worker
            finally:
                self._worker = None

    def on_kill(self) -> None:
        """Claim nothing more; what is on its way is finished and written down.

        Airflow may call it before there is a worker; then the worker is told as soon as there is one.
        """
        self.log.info("Told to stop: nothing more is submitted.")
        self._told_to_stop = True
        if self._worker is not None:
            self._worker.told_to_stop = True

    def _time_limit(self) -> TimeLimit | None:
        """Say when Airflow interrupts this process's work. Its clock starts with each process of the task."""
        if self.execution_timeout is None:
            return None
        self._working_since = self._working_since or datetime.now(UTC)
        return TimeLimit(self._working_since + self.execution_timeout, self.execution_timeout.total_seconds())

    async def open_batch(self, context: Context, *, plan_only: bool = False) -> Batch:
        """Make the batch of this task, or take it up again.

        :raises DescribeError: if an argument makes no sense or the database cannot be used.
        """
        from airflow_midjourney.describe.table.batches import open_batch
        from airflow_midjourney.hooks.image_prompts import open_metadata

        manifest = read_manifest(self.manifest)
        scope = read_scope(
            bucket=read_bucket(self.bucket) or (self._bucket_of(manifest) if manifest else None),
            prefix=self.prefix,
            keys=self.keys,
            whole_bucket=self.whole_bucket,
            bot_type=self.bot_type,
            manifest=manifest,
        )
        options = self._options(plan_only)
        self._check_price(options)
        database = open_metadata(self.db_conn_id)
        self._check_stop()
        batch = await database.write(open_batch, scope, options, read_origin(context))
        self.log.info("Batch %s: %s", batch.batch_id, scope.describe())
        return batch

    def _bucket_of(self, manifest: str) -> str:
        """Ask a manifest which bucket it is about."""
        from airflow_midjourney.describe.storage.manifest.reader import bucket_of
        from airflow_midjourney.hooks.images import open_images
        from airflow_midjourney.hooks.midjourney import MidjourneyHook

        images = open_images(
            self.aws_conn_id or "",
            requester_pays=self.requester_pays,
            allowed_uris=MidjourneyHook(self.mj_conn_id).extra().allowed_uris,
        )
        return bucket_of(images, manifest, self._check_stop)

    def _check_stop(self) -> None:
        """Break off the steps that come before there is a worker.

        :raises BatchError: if Airflow has told the task to stop.
        """
        from airflow_midjourney.describe.engine.loop import told_to_stop

        if self._told_to_stop:
            raise told_to_stop()

    def _check_price(self, options: BatchOptions) -> None:
        """Refuse a cap on money while the connection names no price."""
        from airflow_midjourney.describe.model.errors import SettingsError
        from airflow_midjourney.hooks.midjourney import MidjourneyHook

        if options.max_cost is not None and not MidjourneyHook(self.mj_conn_id).extra().price:
            raise SettingsError(
                f"max_cost needs a price: set the extra 'price' of connection {self.mj_conn_id!r} to what one accepted"
                " image costs."
            )

    def _options(self, plan_only: bool) -> BatchOptions:
        from airflow_midjourney.describe.model.batch import BatchOptions
        from airflow_midjourney.describe.storage.suffixes import DEFAULT_SUFFIXES, normalise_suffixes

        suffixes = DEFAULT_SUFFIXES if self.suffixes == IMAGE_SUFFIXES else normalise_suffixes(self.suffixes)
        return BatchOptions(
            mj_conn_id=self.mj_conn_id,
            aws_conn_id=self.aws_conn_id or "",
            suffixes=None if suffixes is None else tuple(sorted(suffixes)),
            max_submissions=read_whole_number(self.max_submissions, "max_submissions"),
            max_attempts=self.max_attempts,
            max_cost=read_money(self.max_cost, "max_cost"),
            redescribe=read_choice(self.redescribe),
            in_doubt=self.in_doubt,
            backlog=self.backlog,
            on_empty=self.on_empty or "skip",
            priority=read_whole_number(self.priority, "priority") or 0,
            strip_metadata=self.strip_metadata,
            requester_pays=self.requester_pays,
            plan_only=plan_only,
        )


def _is_a_failure(error: BaseException) -> bool:
    """Say whether a task ends badly by this; a skip does where ``soft_fail`` has made one of a failure."""
    if isinstance(error, AirflowSkipException):
        return error.__cause__ is not None
    return not isinstance(error, AirflowRescheduleException)
