"""What stands before the service, and its lists, scenario by scenario."""

from __future__ import annotations

from functools import partial

import httpx
import pytest
from scenario_checks import ALL, Checks
from simulator_client import ENDED, SimulatorClient, picture

CHECKS = Checks()
plays = CHECKS.plays


def is_shut_out(client: SimulatorClient, *, status: int, text: str, reason: str, reads: bool, submits: bool) -> None:
    accepted = client.count("accepted")
    answer = client.submit()
    read = client.fetch("1754207000123456")
    if submits:
        assert (answer.status_code, client.count("accepted")) == (status, accepted)
        assert text in answer.text
        assert client.count("refused")[reason] == 1
    else:
        assert answer.json()["code"] == 1
    if reads:
        assert read.status_code == status
    else:
        assert read.status_code in {200, 204, 400}


for _name, _status, _text, _reason, _where in (
    ("unauthorised_empty", 401, "", "unauthorised", "both"),
    ("unauthorised_text", 401, "Authorization header missing.", "unauthorised", "both"),
    ("user_disabled", 401, "账号已禁用", "unauthorised", "both"),
    ("unauthorised_json", 401, "new_api_error", "unauthorised", "both"),
    ("user_banned", 403, "用户已被封禁", "forbidden", "both"),
    ("forbidden_text", 403, "账号不可用", "forbidden", "both"),
    ("forbidden_empty", 403, "", "forbidden", "both"),
    ("model_limit_on_fetch", 403, "", "", "reads"),
    ("no_channel", 503, "无可用渠道", "no_channel", "submits"),
    ("http_429_empty", 429, "", "rate_limited", "submits"),
    ("http_429_retry_after", 429, "rate limited", "rate_limited", "submits"),
    ("http_429_on_reads", 429, "", "", "reads"),
    ("cloudflare_403_html", 403, "Cloudflare", "forbidden", "both"),
    ("firewall_on_submit", 403, "Cloudflare", "forbidden", "submits"),
    ("unauthorised_on_submit", 401, "Authorization failed.", "unauthorised", "submits"),
    ("http_413", 413, "", "too_large", "submits"),
    ("http_500_spring", 500, "Internal Server Error", "crash", "submits"),
    ("http_500_on_reads", 500, "", "", "reads"),
    ("bad_gateway", 502, "Bad Gateway", "outage", "submits"),
    ("no_path", 404, "Not Found", "outage", "both"),
    ("outage", 503, "Unavailable", "outage", "both"),
):
    plays(_name, *ALL)(
        partial(
            is_shut_out,
            status=_status,
            text=_text,
            reason=_reason,
            reads=_where != "submits",
            submits=_where != "reads",
        )
    )


@plays("reset_before_submit", *ALL)
def reset_before_submit(client: SimulatorClient) -> None:
    with pytest.raises(httpx.NetworkError):
        client.submit()
    assert client.count("accepted") == 0


@plays("reset_on_reads", *ALL)
def reset_on_reads(client: SimulatorClient) -> None:
    task_id = client.submitted()
    with pytest.raises(httpx.NetworkError):
        client.fetch(task_id)
    with pytest.raises(httpx.NetworkError):
        client.listed(task_id)


@plays("key_used_up", "new-api", "new-api-2026")
def key_used_up(client: SimulatorClient) -> None:
    for answer in (client.submit(), client.fetch("1754207000123456")):
        assert answer.status_code == 401
        # The later gateway does not say what is wrong with a key.
        assert ("额度已用尽" in answer.text) != ("Invalid token" in answer.text)


@plays("overloaded", "new-api-2026")
def overloaded(client: SimulatorClient) -> None:
    client.sim.change(key="a-key")
    for answer in (client.submit(), client.fetch("1754207000123456")):
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "system_cpu_overloaded"
    assert client.count("billed") == 0


@plays("slow_submit", *ALL)
def slow_submit(client: SimulatorClient) -> None:
    assert client.submit().elapsed.total_seconds() >= 0.29


@plays("slow_reads", *ALL)
def slow_reads(client: SimulatorClient) -> None:
    assert client.fetch(client.submitted()).elapsed.total_seconds() >= 0.29


def three(client: SimulatorClient) -> list[str]:
    ids = [client.submitted(picture(number)) for number in range(3)]
    for task_id in ids:
        client.until(task_id, *ENDED)
    return ids


@plays("list_shuffled", *ALL)
def shuffled(client: SimulatorClient) -> None:
    ids = [client.submitted(picture(number)) for number in range(6)]
    orders = {tuple(task["id"] for task in client.listed(*ids)) for _ in range(12)}
    assert len(orders) > 1
    assert {frozenset(order) for order in orders} == {frozenset(ids)}


@plays("missing_list_id", *ALL)
def missing(client: SimulatorClient) -> None:
    assert len(client.listed(*three(client))) == 2


@plays("list_duplicates", *ALL)
def duplicates(client: SimulatorClient) -> None:
    assert len(client.listed(*three(client))) == 6


@plays("list_empty", *ALL)
def empty(client: SimulatorClient) -> None:
    assert client.listed(*three(client)) == []


@plays("malformed_list_item", *ALL)
def malformed(client: SimulatorClient) -> None:
    items = client.listed(*three(client))
    assert [type(item["submitTime"]) for item in items].count(str) == 1


@plays("no_list_by_condition", *ALL)
def no_list(client: SimulatorClient) -> None:
    task_id = client.submitted()
    assert client.http.post("/task/list-by-condition", json={"ids": [task_id]}).status_code == 404
    assert client.fetch(task_id).status_code == 200


@plays("no_task_list", "novicezk", "trueai")
def no_task_list(client: SimulatorClient) -> None:
    assert client.http.get("/task/list").status_code == 404


@plays("task_list_forbidden", "novicezk", "trueai")
def task_list_forbidden(client: SimulatorClient) -> None:
    assert client.http.get("/task/list").status_code == 403
    assert client.fetch(client.submitted()).status_code == 200


@plays("task_list_fails", "novicezk", "trueai")
def task_list_fails(client: SimulatorClient) -> None:
    assert client.http.get("/task/list").status_code == 502
    assert client.fetch(client.submitted()).status_code == 200


@plays("task_list_is_a_web_page", "novicezk", "trueai")
def task_list_page(client: SimulatorClient) -> None:
    assert client.http.get("/task/list").text.startswith("<!doctype html>")
