"""Reading kept answers with a newer parser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_midjourney.operators.table_scope import TableScopeOperator
from airflow_midjourney.runtime import airflow_errors

if TYPE_CHECKING:
    from airflow.sdk import Context


class ReparsePromptsOperator(TableScopeOperator):
    """Read the raw answers in the metadata table with the parser of this release. Nothing is sent, nothing is paid.

    Takes the rows whose ``parser_version`` is older than this release's. Prompts are replaced where the new ones
    differ; an answer in which the new parser finds none keeps what it has. Images that failed as ``unparseable`` get
    their prompts if they can be read by now. Prompts that a person has corrected in the table
    stay. The log shows a few changes.

    A retry and a clear go on where the try before stopped: what was read anew is not read again.

    The XCom ``return_value`` is the counts. All arguments of
    :class:`~airflow_midjourney.operators.table_scope.TableScopeOperator` are taken, too.

    :param again: True to read rows again that this very parser has read.
    """

    ui_color = "#f3e8fd"

    def __init__(self, *, again: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.again = again

    def execute(self, context: Context) -> dict[str, Any]:
        """Read them.

        :return: how many rows were read, changed and recovered.
        """
        with airflow_errors():
            return self._reparse()

    def _reparse(self) -> dict[str, Any]:
        from airflow_midjourney.describe.admin.reparse import reparse
        from airflow_midjourney.hooks.image_prompts import open_metadata

        scope = self.scope()
        report = reparse(open_metadata(self.db_conn_id), scope, again=self.again)
        for change in report.examples:
            self.log.info("%r: %r is now %r", change.image_uri, change.before, change.after)
        if report.corrected:
            self.log.info("%d rows keep the prompts that a person has corrected.", report.corrected)
        counts = report.to_json()
        self.log.info("Read anew in %s: %s", scope.describe(), ", ".join(f"{n} {name}" for name, n in counts.items()))
        return counts
