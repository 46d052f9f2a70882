"""Taking decisions back from where people annotate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_midjourney.operators.table_scope import TableScopeOperator
from airflow_midjourney.runtime import airflow_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context


class ImportReviewsOperator(TableScopeOperator):
    """Read what annotators decided in Label Studio, and write it into the table as reviews.

    Takes the files that Label Studio's *Export* writes as JSON or JSON-MIN, and those of a target storage, of tasks
    that an export with ``format="labelstudio"`` of this release has made. An approved text becomes the image's caption;
    a text that is a prompt, word for word, is kept as that prompt. A decision is written only if its image still has
    the answer that the annotator was shown, and no other person has decided since the export; all else is counted,
    and a few are quoted in the log. Reviewers are named ``<e-mail or number> (Label Studio)``.

    Of several annotations of an image the ground truth counts, else the latest. A text without a choice is an approval.

    A retry, a clear and the same file once more write nothing twice: a decision that the table has is ``unchanged``;
    one that its annotator has changed since is added.

    The XCom ``return_value`` is the counts. All arguments of
    :class:`~airflow_midjourney.operators.table_scope.TableScopeOperator` are taken, too; only images of that scope are
    decided about.

    :param source: ``s3://bucket/key``, or the absolute path of a file that the worker sees; with a slash at its end,
        all files below it (templated). Within ``allowed_targets`` of ``mj_conn_id``.
    :param mj_conn_id: connection whose ``allowed_targets`` bound what is read (templated). Where there is no such
        connection, every source is allowed.
    :param aws_conn_id: connection for reading from S3 (templated); None for what boto3 finds by itself.
    """

    template_fields: Sequence[str] = (*TableScopeOperator.template_fields, "source", "mj_conn_id", "aws_conn_id")
    ui_color = "#e6f4ea"

    def __init__(
        self,
        *,
        source: str,
        mj_conn_id: str = "midjourney_default",
        aws_conn_id: str | None = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.mj_conn_id = mj_conn_id
        self.aws_conn_id = aws_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Import them.

        :return: how many entries were read, and what became of them.
        """
        with airflow_errors():
            return self._import()

    def _import(self) -> dict[str, Any]:
        from airflow_midjourney.describe.admin.import_reviews import import_reviews
        from airflow_midjourney.describe.exports.items_of_files import items_of_files
        from airflow_midjourney.hooks.image_prompts import open_metadata
        from airflow_midjourney.hooks.targets import open_target

        scope = self.scope()
        folder, path = self._place()
        target = open_target(folder, self.aws_conn_id or "")
        try:
            report = import_reviews(open_metadata(self.db_conn_id), scope, items_of_files(target, path))
        finally:
            target.close()
        for kind, some in report.quoted.items():
            self.log.warning("%d %s, for instance %s", report.counts[kind], kind.value, "; ".join(some))
        counts = report.to_json()
        self.log.info("Read %s: %s", self.source, ", ".join(f"{n} {name}" for name, n in counts.items() if n))
        return counts

    def _place(self) -> tuple[str, str]:
        """Say which folder the source is in, and its name there."""
        from airflow_midjourney.describe.exports.targets.allowed import check_target
        from airflow_midjourney.describe.model.errors import SettingsError
        from airflow_midjourney.hooks.midjourney import MidjourneyHook

        source = str(self.source or "").strip()
        folder, _, name = source.rstrip("/").rpartition("/")
        is_in_s3 = source.startswith("s3:")
        if not name or (folder in ("", "s3:", "s3:/") if is_in_s3 else not source.startswith("/")):
            raise SettingsError(
                f"source={source!r} names no file. Give s3://bucket/key, or the absolute path of a file; for all files"
                " of a folder, a slash at its end."
            )
        hook = MidjourneyHook(self.mj_conn_id)
        if hook.exists():
            check_target(source, hook.extra().allowed_targets, self.mj_conn_id, "source")
        return folder or "/", f"{name}/" if source.endswith("/") else name
