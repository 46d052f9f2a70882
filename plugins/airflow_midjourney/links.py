"""Links of tasks in Airflow's UI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urljoin

from airflow.sdk import BaseOperatorLink, conf

from airflow_midjourney.describe.model.batch import Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

#: Where the plugin's pages are, below Airflow's own address.
URL_PREFIX: Final = "/midjourney"

#: Before the addresses in the last line of a failure.
IMAGES_BY_REASON: Final = "The images, by reason:"

#: Addresses in that line; a mapped task may have hundreds of batches.
_MOST_PAGES: Final = 10


class BatchLink(BaseOperatorLink):
    """The numbers of the batch that a task works on; of the first one, where a sensor waits for several."""

    name = "Batch"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Give the address of the batch's page; nothing where it is not known which batch that is."""
        batch = getattr(operator, "batch", None)
        if isinstance(batch, list | tuple):
            batch = next(iter(batch), "")
        if batch is None:
            map_index = ti_key.map_index if ti_key.map_index is not None and ti_key.map_index >= 0 else None
            batch = Origin(ti_key.dag_id, ti_key.run_id, ti_key.task_id, map_index).batch_id
        if not isinstance(batch, str) or not batch:
            return ""
        return batch_page(batch)


def batch_page(batch_id: str) -> str:
    """Give the whole address of a batch's page, as ``[api] base_url`` has it."""
    base_url = conf.get("api", "base_url", fallback="/") or "/"
    return urljoin(base_url.rstrip("/") + "/", f"{URL_PREFIX.lstrip('/')}/{batch_address(batch_id)}")


def pages_line(batch_ids: Sequence[str]) -> str:
    """Give the last line of a failure: where its images are, by reason, with what to do; of some batches only if many.

    :param batch_ids: the batches that failed, at least one.
    """
    addresses = [batch_page(batch_id) for batch_id in batch_ids[:_MOST_PAGES]]
    more = len(batch_ids) - len(addresses)
    return f"{IMAGES_BY_REASON} {' '.join(addresses)}{f' and {more} more' if more else ''}"


def batch_address(batch_id: str) -> str:
    """Give where a batch is shown.

    The id is in the query, since it holds escaped characters itself, which servers and proxies undo in paths.
    """
    return f"batch?{urlencode({'id': batch_id})}"


def list_address(**filters: str | None) -> str:
    """Give where a list of batches is: ``list_address(dag_id="daily")``; what is empty is left out."""
    kept = {name: value for name, value in filters.items() if value}
    return f"batches?{urlencode(kept)}" if kept else "batches"
