"""Scenarios about what stands before the service: keys, limits, firewalls, broken networks."""

from __future__ import annotations

from typing import Final

from airflow_midjourney.testing.simulator.effects import (
    EVERYWHERE,
    READS,
    SUBMITS,
    BrokenConnection,
    CannedAnswer,
    LateAnswer,
    OpenAiError,
    SpringError,
)
from airflow_midjourney.testing.simulator.scenario import NEW_API, NEW_API_2026, Scenario

_JSON: Final = "application/json"
_TEXT: Final = "text/plain"
_HTML: Final = "text/html; charset=UTF-8"
_BLOCKED: Final = (
    "<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head>"
    "<body>Sorry, you have been blocked</body></html>"
)
_BAD_GATEWAY: Final = "<html><head><title>502 Bad Gateway</title></head></html>"
_LIMITED: Final = '{"error":{"message":"rate limited","type":"new_api_error"}}'
_OVERLOADED: Final = (
    '{"error":{"message":"system cpu overloaded (current: 92.6%, threshold: 90%)","type":"new_api_error",'
    '"param":"","code":"system_cpu_overloaded"}}'
)
_NO_PATH: Final = "<html><head><title>404 Not Found</title></head></html>"
_OUTAGE: Final = "<html><head><title>503 Service Temporarily Unavailable</title></head></html>"


DOORS: Final = (
    Scenario(
        "unauthorised_empty",
        "401 without a body (novicezk; behind new-api: its upstream's key is wrong)",
        CannedAnswer(EVERYWHERE, 401, "unauthorised"),
    ),
    Scenario(
        "unauthorised_text",
        "401 as text (trueai without guests)",
        CannedAnswer(EVERYWHERE, 401, "unauthorised", "Authorization header missing.", _TEXT),
    ),
    Scenario(
        "user_disabled",
        "401 as text, 账号已禁用 (trueai)",
        CannedAnswer(EVERYWHERE, 401, "unauthorised", "账号已禁用", _TEXT),
    ),
    Scenario(
        "unauthorised_json",
        "401 as new-api says it",
        OpenAiError(EVERYWHERE, 401, "无效的令牌", "unauthorised"),
    ),
    Scenario("user_banned", "403 as new-api says it", OpenAiError(EVERYWHERE, 403, "用户已被封禁", "forbidden")),
    Scenario(
        "forbidden_text",
        "403 as text, 账号不可用 (trueai, user expired)",
        CannedAnswer(EVERYWHERE, 403, "forbidden", "账号不可用", _TEXT),
    ),
    Scenario("forbidden_empty", "403 without a body (trueai blacklist)", CannedAnswer(EVERYWHERE, 403, "forbidden")),
    Scenario(
        "model_limit_on_fetch",
        "new-api: submits are fine, fetch and list answer 403 该令牌无权访问模型",
        OpenAiError(READS, 403, "该令牌无权访问模型 ", "forbidden"),
    ),
    Scenario(
        "no_channel",
        "new-api 503: no channel for mj_describe",
        OpenAiError(
            SUBMITS, 503, "当前分组 default 下对于模型 mj_describe 无可用渠道", "no_channel", code="model_not_found"
        ),
    ),
    Scenario(
        "key_used_up",
        "new-api 401: the key's quota is used up; that of 2026 says what it says of any bad key",
        OpenAiError(EVERYWHERE, 401, "该令牌额度已用尽 TokenStatusExhausted[sk-abc***xyz]", "no_credit"),
        dialects=NEW_API,
    ),
    Scenario(
        "overloaded",
        "new-api of 2026: 503 on every route, before the key is looked at",
        CannedAnswer(EVERYWHERE, 503, "overloaded", _OVERLOADED, f"{_JSON}; charset=utf-8"),
        dialects=NEW_API_2026,
    ),
    Scenario("http_429_empty", "429 without a body on submit", CannedAnswer(SUBMITS, 429, "rate_limited")),
    Scenario(
        "http_429_retry_after",
        "429 with Retry-After: 2 on submit",
        CannedAnswer(SUBMITS, 429, "rate_limited", _LIMITED, _JSON, (("Retry-After", "2"),)),
    ),
    Scenario("http_429_on_reads", "429 without a body on fetch and list", CannedAnswer(READS, 429, "rate_limited")),
    Scenario(
        "cloudflare_403_html",
        "403 as a firewall's HTML",
        CannedAnswer(EVERYWHERE, 403, "forbidden", _BLOCKED, _HTML),
    ),
    Scenario(
        "firewall_on_submit",
        "submits: 403 as the HTML of a firewall that looks into bodies; reads work",
        CannedAnswer(SUBMITS, 403, "forbidden", _BLOCKED, _HTML),
    ),
    Scenario(
        "unauthorised_on_submit",
        "submits: 401 as text; reads work",
        CannedAnswer(SUBMITS, 401, "unauthorised", "Authorization failed.", _TEXT),
    ),
    Scenario("http_413", "413 on submit", CannedAnswer(SUBMITS, 413, "too_large", closes=False)),
    Scenario("http_500_spring", "500 as Spring's JSON on submit; nothing is accepted", SpringError(SUBMITS, 500)),
    Scenario("http_500_on_reads", "500 as Spring's JSON on fetch and list", SpringError(READS, 500)),
    Scenario(
        "bad_gateway",
        "502 HTML on submit; nothing is accepted",
        CannedAnswer(SUBMITS, 502, "outage", _BAD_GATEWAY, _HTML),
    ),
    Scenario(
        "no_path",
        "404 HTML everywhere, as from a proxy that has lost its service",
        CannedAnswer(EVERYWHERE, 404, "outage", _NO_PATH, _HTML),
    ),
    Scenario("outage", "503 HTML everywhere", CannedAnswer(EVERYWHERE, 503, "outage", _OUTAGE, _HTML)),
    Scenario(
        "reset_before_submit",
        "submits: the connection is cut; nothing is accepted",
        BrokenConnection(SUBMITS),
    ),
    Scenario("reset_on_reads", "fetch and list: the connection is cut", BrokenConnection(READS)),
    Scenario("slow_submit", "a submit is answered after `pause` seconds", LateAnswer(SUBMITS)),
    Scenario("slow_reads", "fetch and list are answered after `pause` seconds", LateAnswer(READS)),
)
