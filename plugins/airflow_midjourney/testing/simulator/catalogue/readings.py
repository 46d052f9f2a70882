"""Scenarios about fetch and list."""

from __future__ import annotations

from typing import Final

from airflow_midjourney.testing.simulator.effects import LISTS, CannedAnswer, ListFault, RouteName
from airflow_midjourney.testing.simulator.scenario import Scenario

_BY_CONDITION: Final = frozenset({RouteName.LIST_BY_CONDITION})
_NOT_FOUND: Final = '{"error":"Not Found"}'
_FORBIDDEN: Final = '{"error":{"message":"route not allowed","type":"new_api_error"}}'
_BAD_GATEWAY: Final = "<html><head><title>502 Bad Gateway</title></head></html>"
_WEB_PAGE: Final = "<!doctype html><html><head><title>API</title></head><body></body></html>"

READINGS: Final = (
    Scenario("list_shuffled", "lists come in random order", ListFault.SHUFFLED),
    Scenario("missing_list_id", "one task (or a share of them) is missing from each list", ListFault.MISSING),
    Scenario("list_duplicates", "every task is listed twice", ListFault.DUPLICATES),
    Scenario("list_empty", "lists are empty", ListFault.EMPTY),
    Scenario("malformed_list_item", "one task (or a share of them) in each list is not a task", ListFault.MALFORMED),
    Scenario(
        "no_list_by_condition",
        "list-by-condition answers 404, single fetches work",
        CannedAnswer(_BY_CONDITION, 404, "not_found", _NOT_FOUND, "application/json"),
    ),
    Scenario(
        "no_task_list",
        "task/list answers 404",
        CannedAnswer(LISTS, 404, "not_found", _NOT_FOUND, "application/json"),
    ),
    Scenario(
        "task_list_forbidden",
        "task/list answers 403 as a gateway with a list of allowed routes does; other reads work",
        CannedAnswer(LISTS, 403, "forbidden", _FORBIDDEN, "application/json"),
    ),
    Scenario(
        "task_list_fails",
        "task/list answers 502; other reads work",
        CannedAnswer(LISTS, 502, "outage", _BAD_GATEWAY, "text/html; charset=utf-8"),
    ),
    Scenario(
        "task_list_is_a_web_page",
        "task/list answers 200 with the HTML of a web interface",
        CannedAnswer(LISTS, 200, "not_found", _WEB_PAGE, "text/html; charset=utf-8"),
    ),
)
