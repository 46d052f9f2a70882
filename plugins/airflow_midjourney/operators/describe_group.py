"""Submitting the images of a prefix and waiting for their prompts, as one group of tasks."""

from __future__ import annotations

from difflib import get_close_matches
from inspect import signature
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast

from airflow.sdk import BaseOperator, TaskGroup

from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from typing import Literal

    from airflow.sdk import XComArg
    from airflow.sdk.definitions._internal.node import DAGNode

    from airflow_midjourney.describe.model.batch import Backlog, InDoubt, OnEmpty


class ForSubmit(TypedDict, total=False):
    """Arguments of the group that go to the operator."""

    bucket: str | None
    prefix: str | Sequence[str] | None
    keys: str | Sequence[str] | None
    manifest: str | None
    whole_bucket: bool
    bot_type: str
    suffixes: str | Sequence[str] | None
    max_submissions: int | str | None
    max_attempts: int
    max_cost: float | str | None
    redescribe: str | None
    in_doubt: InDoubt
    backlog: Backlog
    on_empty: OnEmpty | None
    priority: int | str | None
    strip_metadata: bool
    requester_pays: bool
    mj_conn_id: str
    aws_conn_id: str | None
    plan_only: bool | str
    trigger_rule: str


class ForWait(TypedDict, total=False):
    """Arguments of the group that go to the sensor."""

    max_failure_rate: float
    max_rejected_rate: float
    on_cap: Literal["skip", "wait", "finish"] | str
    poke_interval: float | timedelta
    timeout: timedelta | float
    soft_fail: bool
    mode: str
    exponential_backoff: bool
    max_wait: timedelta | float | None
    silent_fail: bool
    never_fail: bool
    outlets: Any | None


class ForBoth(TypedDict, total=False):
    """Arguments of the group that go to the operator and to the sensor."""

    db_conn_id: str
    deferrable: bool


class GroupArguments(ForSubmit, ForWait, ForBoth, total=False):
    """What :func:`describe_images_group` takes beside the arguments of a group."""


class DescribeImagesGroup(TaskGroup):
    """The two tasks that describe the images of a scope; :func:`describe_images_group` makes it."""

    @property
    def submit(self) -> DescribeImagesOperator:
        """The task that lists and submits."""
        return cast("DescribeImagesOperator", self._task("submit"))

    @property
    def wait(self) -> DescribeImagesSensor:
        """The task that waits for the prompts and judges the batch."""
        return cast("DescribeImagesSensor", self._task("wait"))

    @property
    def output(self) -> XComArg:
        """The batch id, for a task that runs when the prompts are there."""
        return self.wait.output

    def _task(self, label: str) -> DAGNode:
        return next(task for task in self.children.values() if task.label == label)


def describe_images_group(
    group_id: str = "describe_images",
    *,
    default_args: dict[str, Any] | None = None,
    tooltip: str = "",
    prefix_group_id: bool = True,
    **arguments: Unpack[GroupArguments],
) -> DescribeImagesGroup:
    """Describe the images of a scope: the tasks ``submit`` and ``wait``, in a group that is chained as one.

    .. code-block:: python

        described = describe_images_group(bucket="photos", prefix=prefix_of_today(), default_args={"retries": 3})
        report(described.output)

    ``described.output`` is the batch id, and a task that takes it runs when the prompts are there. Arguments may be
    templates or outputs of other tasks where the operator and the sensor take those. For a group of each prefix, call
    it in a function with ``@task_group`` and expand that.

    :param group_id: what the ids of the tasks begin with.
    :param default_args: arguments of both tasks that any Airflow task has, such as ``retries``, ``pool`` and callbacks.
    :param tooltip: what the graph shows of the group.
    :param prefix_group_id: False to name the tasks ``submit`` and ``wait`` alone, as a DAG without the group does:
        batches and what earlier runs have left belong to the id of a task.
    :param arguments: of :class:`~airflow_midjourney.operators.describe.DescribeImagesOperator` and of
        :class:`~airflow_midjourney.sensors.describe.DescribeImagesSensor`, each by its name there. ``trigger_rule`` is
        that of ``submit``, ``outlets`` are those of ``wait``; ``deferrable`` and ``db_conn_id`` hold for both.
    :raises TypeError: if an argument is of neither, when the DAG is read.
    """
    for name in arguments:
        if name not in GroupArguments.__annotations__:
            raise TypeError(_explained(name))
    group = DescribeImagesGroup(
        group_id,
        default_args=default_args or {},  # type: ignore[arg-type] # attrs shows the type of its converter, deepcopy
        tooltip=tooltip,
        prefix_group_id=prefix_group_id,
    )
    with group:
        submit = DescribeImagesOperator(task_id="submit", **_those_of(ForSubmit, arguments))
        wait = DescribeImagesSensor(task_id="wait", **_those_of(ForWait, arguments) | {"batch": submit.output})
        submit >> wait
    return group


def _those_of(receiver: type[ForSubmit] | type[ForWait], arguments: GroupArguments) -> dict[str, Any]:
    taken = receiver.__annotations__.keys() | ForBoth.__annotations__.keys()
    return {name: value for name, value in arguments.items() if name in taken}


def _explained(name: str) -> str:
    """Say what to write instead of an argument that the group does not have."""
    told = f"describe_images_group() has no argument {name!r}."
    if name == "batch":
        return f"{told} The group gives its own batch to its sensor; use DescribeImagesSensor for another one."
    if name == "task_id":
        return f"{told} Its tasks are submit and wait; name the group with group_id=."
    if name in signature(BaseOperator.__init__).parameters:
        return f"{told} Give it to both tasks with default_args={{{name!r}: ...}}."
    alike = get_close_matches(name, GroupArguments.__annotations__, n=1)
    return f"{told} Did you mean {alike[0]!r}?" if alike else f"{told} Neither the operator nor the sensor has it."
