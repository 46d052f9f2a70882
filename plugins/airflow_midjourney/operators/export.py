"""Writing what the table holds to files that annotators and trainers read."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_midjourney.arguments import read_moment, read_origin, read_statuses, read_whole_number
from airflow_midjourney.observability.asset_events import tell_outlets_of_export
from airflow_midjourney.operators.table_scope import TableScopeOperator
from airflow_midjourney.runtime import airflow_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from airflow.sdk import Context

    from airflow_midjourney.describe.exports.export import ExportPlan
    from airflow_midjourney.describe.exports.publication import Publication
    from airflow_midjourney.describe.exports.targets.target import Target
    from airflow_midjourney.describe.storage.objects import ImageStore


class ExportPromptsOperator(TableScopeOperator):
    """Export images and prompts of the metadata table to S3 or a folder, as a training set or for people.

    Rows are streamed in the order of their keys, so memory does not grow with them; the same rows give the same bytes.
    A reader never sees half of it: each export is a folder of its own below the target, and ``latest.json`` (in a local
    folder also the link ``latest``) is switched to it last. A ``csv``, ``jsonl`` or ``parquet`` export whose target
    ends like that is one file, and replaces the one before at once.

    A task that is killed leaves the export before as it was; its retry writes the same folder again, to its end. A
    clear exports the rows as they are then into a folder of its own.

    The XCom ``return_value`` is the path or URI of what was published; counts are under the XCom key ``counts``. All
    arguments of :class:`~airflow_midjourney.operators.table_scope.TableScopeOperator` are taken, too.

    .. seealso:: ``docs/export/`` has a guide for each format.

    :param target: ``s3://bucket/prefix``, or the absolute path of a folder that the worker can write to (templated);
        within ``allowed_targets`` of ``mj_conn_id``.
    :param format: ``imagefolder`` (Hugging Face), ``kohya``, ``webdataset``, ``jsonl`` (fine-tuning), ``labelstudio``,
        ``parquet`` or ``csv`` (templated).
    :param format_options: options of the format, such as ``{"wildcard": True}`` for kohya (templated).
    :param prompt: which prompt of an image: ``first``, ``longest``, ``random`` (the same for the same bytes and seed)
        or ``all`` (templated).
    :param choose: ``described`` takes the prompts, whatever people decided about them. ``reviewed`` takes the text that
        a person approved and leaves out what was rejected; where there is no decision, or it is outdated, it falls back
        to ``prompt`` (templated).
    :param reviewed_only: True to leave out all that has no approved text, with ``choose="reviewed"``.
    :param seed: another one gives other random prompts and other splits.
    :param splits: a name for one split, or names and shares such as ``{"train": 0.9, "validation": 0.1}``; the same
        bytes are always in the same split. None for no splits.
    :param copy_images: True to copy the images along, byte by byte; images that are gone or were replaced are left out
        and counted. Only objects within ``allowed_uris`` of ``mj_conn_id`` are read.
    :param deduplicate: False to take the same bytes under several keys more than once.
    :param on_collision: what becomes of two keys that some disk would put into one file (``a.jpg`` and ``A.jpg``), or
        of which one would be a file where the other needs a folder (``x.jpg`` and ``x.jpg/y.jpg``): ``error`` names
        both and publishes nothing, ``rename`` gives the second another name (templated).
    :param min_letters: letters and digits that a prompt must have to be taken.
    :param status: rows to read: one status, a list, or ``all`` (templated). Only ``csv`` and ``parquet`` have rows
        without prompts.
    :param current_only: False to take versions of objects that were replaced, too.
    :param described_since: only rows that ended then or later, as ISO text or a datetime (templated).
    :param described_until: only rows that ended before then (templated).
    :param keep_versions: exports kept below the target, the new one among them; at least 1. Older ones are deleted.
    :param requester_pays: True to pay for reading images from a requester-pays bucket.
    :param mj_conn_id: connection whose ``allowed_uris`` bound which images are copied, and whose ``allowed_targets``
        bound where exports go (templated). Where there is no such connection, every target is allowed.
    :param aws_conn_id: connection for reading images from S3 (templated); None for what boto3 finds by itself.
    :param target_aws_conn_id: connection for writing to S3 (templated); the same as ``aws_conn_id`` if it is not given.
    """

    template_fields: Sequence[str] = (
        *TableScopeOperator.template_fields,
        "target",
        "format",
        "format_options",
        "prompt",
        "choose",
        "on_collision",
        "status",
        "described_since",
        "described_until",
        "mj_conn_id",
        "aws_conn_id",
        "target_aws_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **TableScopeOperator.template_fields_renderers,
        "format_options": "json",
        "status": "json",
    }
    ui_color = "#e6f4ea"

    def __init__(
        self,
        *,
        target: str,
        format: str,  # noqa: A002
        format_options: Mapping[str, Any] | None = None,
        prompt: str = "first",
        choose: str = "described",
        reviewed_only: bool = False,
        seed: int = 0,
        splits: str | Mapping[str, float] | None = None,
        copy_images: bool = False,
        deduplicate: bool = True,
        on_collision: str = "error",
        min_letters: int = 3,
        status: str | Sequence[str] = "succeeded",
        current_only: bool = True,
        described_since: datetime | str | None = None,
        described_until: datetime | str | None = None,
        keep_versions: int = 2,
        requester_pays: bool = False,
        mj_conn_id: str = "midjourney_default",
        aws_conn_id: str | None = "aws_default",
        target_aws_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.target = target
        self.format = format
        self.format_options = format_options
        self.prompt = prompt
        self.choose = choose
        self.reviewed_only = reviewed_only
        self.seed = seed
        self.splits = splits
        self.copy_images = copy_images
        self.deduplicate = deduplicate
        self.on_collision = on_collision
        self.min_letters = min_letters
        self.status = status
        self.current_only = current_only
        self.described_since = described_since
        self.described_until = described_until
        self.keep_versions = keep_versions
        self.requester_pays = requester_pays
        self.mj_conn_id = mj_conn_id
        self.aws_conn_id = aws_conn_id
        self.target_aws_conn_id = target_aws_conn_id

    def execute(self, context: Context) -> str:
        """Export, and publish.

        :return: where the export is.
        """
        with airflow_errors():
            location, counts = self._export(_writer(context))
        context["ti"].xcom_push(key="counts", value=counts)
        tell_outlets_of_export(context, location, counts)
        return location

    def _export(self, writer: str) -> tuple[str, dict[str, Any]]:
        from airflow_midjourney.describe.exports.export import export
        from airflow_midjourney.describe.exports.report import ExportReport
        from airflow_midjourney.hooks.image_prompts import open_metadata
        from airflow_midjourney.hooks.targets import open_target

        plan, report = self._plan(), ExportReport()
        database, images = open_metadata(self.db_conn_id), self._images()
        folder, file = self._place(plan)
        target = open_target(folder, self.target_aws_conn_id or self.aws_conn_id or "")
        try:
            with self._publishing(target, file, writer, report.to_json) as publication:
                export(plan, database, publication, images, report, self.log.info)
        finally:
            target.close()
        self.log.info("%s: %s", publication.location, report.line())
        return publication.location, report.to_json()

    def _publishing(
        self, target: Target, file: str, writer: str, counts: Callable[[], dict[str, Any]]
    ) -> AbstractContextManager[Publication]:
        from airflow_midjourney.describe.exports.publication import publishing, publishing_file

        if file:
            return publishing_file(target, file)
        return publishing(target, writer, self.keep_versions, lambda: {"format": self.format, "counts": counts()})

    def _plan(self) -> ExportPlan:
        from airflow_midjourney.describe.exports.collisions import read_on_collision
        from airflow_midjourney.describe.exports.export import ExportPlan
        from airflow_midjourney.describe.exports.format import load_format
        from airflow_midjourney.describe.exports.selection import Choice, read_choose, read_prompt
        from airflow_midjourney.describe.exports.splits import read_splits
        from airflow_midjourney.describe.model.errors import SettingsError
        from airflow_midjourney.describe.queries.rows import Wanted

        if self.keep_versions < 1:
            raise SettingsError(f"keep_versions must be at least 1, not {self.keep_versions}.")
        return ExportPlan(
            wanted=Wanted(
                self.scope(),
                read_statuses(self.status),
                self.current_only,
                read_moment(self.described_since, "described_since"),
                read_moment(self.described_until, "described_until"),
            ),
            format=load_format(self.format, self.format_options),
            choice=Choice(
                read_prompt(self.prompt),
                read_whole_number(self.seed, "seed") or 0,
                self.min_letters,
                self.deduplicate,
                read_choose(self.choose),
                self.reviewed_only,
            ),
            splits=read_splits(self.splits),
            on_collision=read_on_collision(self.on_collision),
        )

    def _place(self, plan: ExportPlan) -> tuple[str, str]:
        """Say which folder to write to, and the name of the one file if it is one."""
        from airflow_midjourney.describe.model.errors import SettingsError

        target = str(self.target or "").strip()
        if target in ("", "None", "s3:", "s3://"):
            raise SettingsError("target= is empty after templating. Give s3://bucket/prefix, or the path of a folder.")
        self._check_target(target)
        if plan.format.suffix is None or not target.endswith(plan.format.suffix):
            return target, ""
        if len(plan.splits.names) > 1 or self.copy_images:
            raise SettingsError(
                f"target={target!r} names one file. With several splits, or with images, an export is a folder: give"
                " the folder's name."
            )
        folder, _, file = target.rpartition("/")
        return folder or "/", file

    def _check_target(self, target: str) -> None:
        """Refuse a target outside ``allowed_targets``; an export needs no connection of the service otherwise."""
        from airflow_midjourney.describe.exports.targets.allowed import check_target
        from airflow_midjourney.hooks.midjourney import MidjourneyHook

        hook = MidjourneyHook(self.mj_conn_id)
        if hook.exists():
            check_target(target, hook.extra().allowed_targets, self.mj_conn_id)

    def _images(self) -> ImageStore | None:
        if not self.copy_images:
            return None
        from airflow_midjourney.hooks.images import open_images
        from airflow_midjourney.hooks.midjourney import MidjourneyHook

        allowed = MidjourneyHook(self.mj_conn_id).extra().allowed_uris
        return open_images(self.aws_conn_id or "", requester_pays=self.requester_pays, allowed_uris=allowed)


def _writer(context: Context) -> str:
    """Name who writes: the same for every try of the same task of the same run."""
    return hashlib.sha256(read_origin(context).batch_id.encode()).hexdigest()[:12]
