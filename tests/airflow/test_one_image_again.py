"""``describe_image(redescribe=…)``: one image is described again when that is asked for, and once for each order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import task

from airflow_midjourney.describe.model.errors import ImageUndescribedError, ImageUnfinishedError, SettingsError
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from tests.support.airflow_runs import make_dag, run_dag

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


@pytest.fixture(params=["sqlite_place", "postgres_place"])
def of_photo(
    request: pytest.FixtureRequest,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> str:
    """The address of one photo, with everything connected to describe it."""
    place: MetadataPlace = request.getfixturevalue(request.param)
    connect(simulator, place)
    put_photos("in/", 1)
    return f"s3://{bucket}/in/000.jpg"


def billed(simulator: RunningSimulator) -> int:
    number: int = simulator.counters()["billed"]
    return number


def test_each_call_of_a_notebook_that_asks_for_it_pays_again(of_photo: str, simulator: RunningSimulator) -> None:
    hook = MidjourneyHook()
    paid = []
    for redescribe in (None, "all", "all", None, "failed", "in_doubt", "erased", ""):
        assert len(hook.describe_image(of_photo, redescribe=redescribe)) == 4
        paid.append(billed(simulator))

    assert paid == [1, 2, 3, 3, 3, 3, 3, 3]


def test_what_failed_is_described_again_and_nothing_else(of_photo: str, simulator: RunningSimulator) -> None:
    simulator.set_scenarios(["banned_image:first=1"])
    with pytest.raises(ImageUndescribedError, match="a call with redescribe='failed', sends it again"):
        MidjourneyHook().describe_image(of_photo)
    before = simulator.counters()["requests"]["submit"]

    simulator.set_scenarios([])
    assert len(MidjourneyHook().describe_image(of_photo, redescribe="failed")) == 4
    assert len(MidjourneyHook().describe_image(of_photo, redescribe="failed")) == 4
    assert simulator.counters()["requests"]["submit"] == before + 1


def test_a_call_that_had_too_little_time_is_gone_on_with(of_photo: str, simulator: RunningSimulator) -> None:
    hook = MidjourneyHook()
    first = hook.describe_image(of_photo)
    with pytest.raises(ImageUnfinishedError):
        hook.describe_image(of_photo, redescribe="all", timeout=0)
    # Its answer is here before the next call, which asks for the same.
    assert len(hook.describe_image(of_photo)) == 4

    assert len(hook.describe_image(of_photo, redescribe="all")) == 4

    assert len(first) == 4
    assert billed(simulator) == 2


def test_a_task_describes_again_once_however_often_it_calls_or_is_tried(
    of_photo: str, simulator: RunningSimulator
) -> None:
    MidjourneyHook().describe_image(of_photo)
    calls: list[int] = []
    with make_dag() as dag:

        @task(retries=2)
        def caption(uri: str) -> str:
            # What this task has described itself is not what it is asked to describe again.
            MidjourneyHook().describe_image(uri)
            prompts = [MidjourneyHook().describe_image(uri, redescribe="all")[0] for _ in range(2)]
            calls.append(billed(simulator))
            if len(calls) < 3:
                raise RuntimeError("tried again")
            return prompts[0]

        caption(of_photo)

    runs: list[Any] = [run_dag(dag), run_dag(dag)]

    assert [run.state for run in runs] == ["success", "success"]
    assert calls == [2, 2, 2, 3]


def test_another_word_is_refused_before_anything_is_sent(of_photo: str, simulator: RunningSimulator) -> None:
    with pytest.raises(SettingsError, match="redescribe"):
        MidjourneyHook().describe_image(of_photo, redescribe="everything")

    assert simulator.counters()["requests"].get("submit", 0) == 0
