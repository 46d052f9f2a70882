"""What the operators have in common that work on the table alone: naming rows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_midjourney.arguments import read_scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.model.batch import Scope


class TableScopeOperator(BaseOperator):
    """Name rows of the metadata table.

    :param bucket: the bucket of the images (templated).
    :param prefix: one prefix, or a list of them (templated). Empty text is refused.
    :param keys: up to 1,000 keys instead of a prefix: a list, or text that is a JSON list (templated).
    :param whole_bucket: True to take all images of the bucket when no prefix is given.
    :param bot_type: ``MID_JOURNEY`` or ``NIJI_JOURNEY`` (templated).
    :param db_conn_id: connection of the database with the metadata table (templated).
    """

    template_fields: Sequence[str] = ("bucket", "prefix", "keys", "bot_type", "db_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"prefix": "json", "keys": "json"}

    def __init__(
        self,
        *,
        bucket: str,
        prefix: str | Sequence[str] | None = None,
        keys: str | Sequence[str] | None = None,
        whole_bucket: bool = False,
        bot_type: str | None = "MID_JOURNEY",
        db_conn_id: str = "image_prompts_db",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bucket = bucket
        self.prefix = prefix
        self.keys = keys
        self.whole_bucket = whole_bucket
        self.bot_type = bot_type
        self.db_conn_id = db_conn_id

    def scope(self, bot_type: str | None = None) -> Scope:
        """Read the rendered arguments.

        :param bot_type: instead of the operator's own.
        :raises SettingsError: if one of them is empty or makes no sense.
        """
        return read_scope(
            bucket=self.bucket,
            prefix=self.prefix,
            keys=self.keys,
            whole_bucket=self.whole_bucket,
            bot_type=bot_type or self.bot_type or "",
        )
