"""Erasing images from the metadata table, on a person's order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_midjourney.arguments import read_choice
from airflow_midjourney.operators.table_scope import TableScopeOperator
from airflow_midjourney.runtime import airflow_errors

if TYPE_CHECKING:
    from airflow.sdk import Context


class PurgePromptsOperator(TableScopeOperator):
    """Erase all about some images from the metadata tables: prompts, raw answers, keys, URIs, the service's words.

    All versions of the images go, whatever their status. What was paid stays in the bill, without the words and the
    number of the service. Two digests of each image stay, so that neither the same object nor the same bytes under
    another key are sent, and paid for, again by accident: such images are counted as ``erased`` when they are listed,
    or rejected with the reason ``erased``. ``redescribe="erased"`` of
    :class:`~airflow_midjourney.operators.describe.DescribeImagesOperator` describes them again on purpose.

    Images that are on their way are not touched: the task erases all others, and fails. A retry, some minutes later,
    erases the rows that have been answered meanwhile; give the task ``retries``. Erasing twice changes nothing.

    Objects in S3, exports, backups of the database, Airflow's own logs, and what the service and its third parties
    hold are not erased by this.

    The XCom ``return_value`` is the counts. All arguments of
    :class:`~airflow_midjourney.operators.table_scope.TableScopeOperator` are taken, too.

    :param bot_type: one of the bots; None for both (templated).
    """

    ui_color = "#fce8e6"

    def __init__(self, *, bot_type: str | None = None, **kwargs: Any) -> None:
        super().__init__(bot_type=bot_type, **kwargs)

    def execute(self, context: Context) -> dict[str, int]:
        """Erase.

        :return: how many rows were erased.
        :raises AirflowException: if some are on their way; the others are erased.
        """
        with airflow_errors():
            return self._purge(f"{context['ti'].dag_id} {context['ti'].run_id}")

    def _purge(self, asked_by: str) -> dict[str, int]:
        from airflow_midjourney.describe.admin.erase import erase
        from airflow_midjourney.describe.model.errors import TableError
        from airflow_midjourney.describe.model.status import BotType
        from airflow_midjourney.hooks.image_prompts import open_metadata

        bots = [self.bot_type] if read_choice(self.bot_type) else [bot.value for bot in BotType]
        report = erase(open_metadata(self.db_conn_id), [self.scope(bot) for bot in bots], asked_by)
        self.log.info("Erased %d rows.", report.erased)
        if report.twins:
            self.log.warning(
                "%d rows outside this scope have the same bytes and keep their prompts; name them to erase them, too.",
                report.twins,
            )
        if report.on_their_way:
            raise TableError(
                f"{report.erased} rows were erased, but {report.on_their_way} images are on their way to the service or"
                " wait for its answer. Run this again when they have been answered.",
                retry_helps=True,
            )
        return report.to_json()
