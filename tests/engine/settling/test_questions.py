"""What a poll asks: all at once where the service has lists, one by one where it has none."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from airflow_midjourney.describe.engine.doubt.ask import SINGLE_FETCHES, ask
from airflow_midjourney.describe.model.errors import ServiceUnavailableError
from tests.support.polling import AWAY, UNREADABLE, Service, some_tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.service.tasks import RemoteTask


def ask_about(service: Service, ids: Sequence[str], late: Sequence[str] = ()) -> dict[str, RemoteTask | None]:
    watcher = cast("Any", SimpleNamespace(client=service))
    return asyncio.run(ask(watcher, ids, late))


def test_all_are_asked_about_at_once_and_what_the_list_leaves_out_one_by_one_but_nothing_late() -> None:
    service = Service(some_tasks("1", "2", "late"), hidden={"2", "late"})

    assert ask_about(service, ["1", "2", "3"], ["late"]) == {**some_tasks("1", "2"), "3": None}
    assert service.asked == [["1", "2", "3", "late"], "2", "3"]


def test_of_many_that_a_list_leaves_out_some_are_asked_about_and_nothing_is_known_of_the_rest() -> None:
    ids = [str(number) for number in range(SINGLE_FETCHES + 5)]

    assert ask_about(Service(), ids) == dict.fromkeys(ids[:SINGLE_FETCHES])


def test_without_lists_all_on_their_way_are_asked_about_one_by_one_and_some_of_the_late_ones() -> None:
    ids = [str(number) for number in range(SINGLE_FETCHES + 5)]
    late = [f"late-{number}" for number in range(SINGLE_FETCHES + 5)]

    found = ask_about(Service(lists=False), ids, late)

    assert found.keys() >= set(ids)
    assert len(found) == len(ids) + SINGLE_FETCHES
    assert ask_about(Service(lists=False), [], ["late"]) == {"late": None}


def test_a_service_that_goes_away_between_two_answers_has_given_the_first() -> None:
    service = Service(some_tasks("1", "3"), lists=False, errors={"2": AWAY})

    assert ask_about(service, ["1", "2", "3"]) == some_tasks("1")
    with pytest.raises(ServiceUnavailableError):
        ask_about(service, ["2", "3"])


def test_a_list_is_worth_something_though_single_tasks_cannot_be_asked_about() -> None:
    service = Service(some_tasks("1"), errors={"2": AWAY})

    assert ask_about(service, ["1", "2"]) == some_tasks("1")


def test_an_answer_that_cannot_be_read_says_nothing_of_the_others() -> None:
    service = Service(some_tasks("2"), lists=False, errors={"1": UNREADABLE})

    assert ask_about(service, ["1", "2"]) == some_tasks("2")
    assert "access" not in service.asked


def test_where_no_answer_can_be_read_a_read_says_whether_the_service_is_there() -> None:
    service = Service(lists=False, errors={"1": UNREADABLE, "access": AWAY})

    with pytest.raises(ServiceUnavailableError):
        ask_about(service, ["1"])

    del service.errors["access"]
    assert ask_about(service, ["1"]) == {}
    assert service.asked[-1] == "access"


def test_nothing_to_ask_one_by_one_is_no_reason_for_a_read() -> None:
    service = Service(some_tasks("1"), errors={"access": AWAY})

    assert ask_about(service, ["1"]) == some_tasks("1")
