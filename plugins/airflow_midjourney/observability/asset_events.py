"""What the events of a task's outlet assets say: which batches, and how many images ended how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow.sdk import Context

#: Counts that are told, over all batches.
_COUNTS: Final = (
    "pending",
    "submitting",
    "submitted",
    "succeeded",
    "failed",
    "rejected",
    "in_doubt",
    "shared",
    "billed",
)


def tell_outlets(context: Context, counted: Iterable[Mapping[str, Any]]) -> None:
    """Add the batches of a task and their counts to the events of its outlets that are assets.

    Airflow makes the events when the task succeeds, so a task that fails or is skipped tells nothing.

    :param counted: plain counts, each with its batch id under ``batch``.
    """
    told = list(counted)
    _add_to_events(
        context,
        {
            "batches": [one["batch"] for one in told],
            **{name: sum(int(one.get(name) or 0) for one in told) for name in _COUNTS},
        },
    )


def tell_outlets_of_export(context: Context, target: str, counts: Mapping[str, Any]) -> None:
    """Add where an export is, and its counts, to the events of a task's outlets that are assets.

    :param target: the folder of the published version, or the file.
    """
    _add_to_events(context, {"target": target, **counts})


def _add_to_events(context: Context, extra: Mapping[str, Any]) -> None:
    from airflow.sdk.definitions.asset import Asset, AssetRef

    for outlet in context["task"].outlets or ():
        if isinstance(outlet, Asset | AssetRef):
            context["outlet_events"][outlet].extra.update(extra)
