"""What is in deploy/monitoring is right by the programs that read it, and about metrics that the code emits."""

from __future__ import annotations

import json
import re
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from airflow.sdk._shared.observability.metrics.otel_logger import SafeOtelLogger
from airflow.sdk.serde import _register as begin_stats_as_every_process_does
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Sum

from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.observability import metrics
from tests.support.airflow_home import REPOSITORY
from tests.support.monitoring import FOLDER, promtool, running_exporter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.monitoring import Exporter

RULES = FOLDER / "prometheus-rules.yml"
TESTS = FOLDER / "prometheus-rules-test.yml"
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text("utf-8"))
RUNBOOK = (REPOSITORY / "docs" / "runbook.md").read_text("utf-8")
ALERTS = [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]
EXPRESSIONS = [alert["expr"] for alert in ALERTS] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
]
#: A summary, or a histogram, is read as any of these.
PARTS = ("", "_sum", "_count")


def happen() -> None:
    """Let everything happen that the code counts."""
    observer = metrics.StatsObserver()
    for kind in EventKind:
        reason = "banned" if kind in (EventKind.FAILED, EventKind.REJECTED) else None
        cost = Decimal("0.25") if kind is EventKind.BILLED else None
        waited = 61.0 if kind is EventKind.SUCCEEDED else None
        observer.happened(Event(kind, 2, reason, waited, cost, cost and "USD"))
    observer.in_flight("midjourney_default", 3)


@pytest.fixture
def exporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Exporter]:
    """Airflow's stats go to an exporter with our mappings."""
    with running_exporter(tmp_path) as running:
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(running.port))
        begin_stats_as_every_process_does()
        yield running
        monkeypatch.undo()
        begin_stats_as_every_process_does()


def used() -> set[str]:
    """Give the metrics that rules and dashboard name."""
    return {name for text in EXPRESSIONS for name in re.findall(r"airflow_\w+", text)}


def by_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Give the labels of each metric as Airflow's OpenTelemetry sends it, by the name that Prometheus makes of it."""
    reader = InMemoryMetricReader()
    monkeypatch.setattr(metrics, "Stats", SafeOtelLogger(MeterProvider(metric_readers=[reader])))
    happen()
    found: dict[str, set[str]] = {}
    for resource in reader.get_metrics_data().resource_metrics:
        for one in [metric for scope in resource.scope_metrics for metric in scope.metrics]:
            name = one.name.replace(".", "_") + ("_milliseconds" if one.unit == "ms" else "")
            name += "_total" if isinstance(one.data, Sum) and one.data.is_monotonic else ""
            found[name] = {label for point in one.data.data_points for label in point.attributes}
    return found


def test_each_metric_that_is_used_is_one_that_statsd_brings_to_prometheus(exporter: Exporter) -> None:
    happen()
    wanted = used() - {"airflow_midjourney_describe_wait_milliseconds"}
    deadline = time.monotonic() + 60
    while not wanted <= {name for name, _ in exporter.series()} and time.monotonic() < deadline:
        time.sleep(0.1)

    series = exporter.series()
    prefix = "airflow_midjourney_describe"
    assert wanted - {name for name, _ in series} == set()
    # Once each: the bare names say the same as those with a label.
    assert {key: value for key, value in series.items() if "failed" in key[0] or "in_flight" in key[0]} == {
        (f"{prefix}_failed_total", 'reason="banned"'): 2,
        (f"{prefix}_in_flight", 'connection="midjourney_default"'): 3,
    }
    assert series[f"{prefix}_billed_cost_total", ""] == 0.25
    assert series[f"{prefix}_wait_milliseconds_sum", ""] == 61_000


def test_each_metric_that_is_used_is_one_that_opentelemetry_brings_to_prometheus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = by_opentelemetry(monkeypatch)

    assert used() - {f"{name}{part}" for name in sent for part in PARTS} == set()
    assert sent["airflow_midjourney_describe_failed_total"] == {"reason"}
    assert sent["airflow_midjourney_describe_in_flight"] == {"connection"}
    assert sent["airflow_midjourney_describe_billed_cost_total"] == {"currency"}


def test_each_metric_that_the_code_emits_is_on_the_dashboard(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {name for panel in DASHBOARD["panels"] for one in panel["targets"] for name in words(one["expr"])}
    once_more = re.compile("_(failed|rejected)_banned_total|_in_flight_midjourney_default")

    sent = {name for name in by_opentelemetry(monkeypatch) if not once_more.search(name)}

    assert len(sent) == len(EventKind) + 3
    assert sent - shown == set()


def words(text: str) -> list[str]:
    return re.findall(r"airflow_\w+", text)


def test_prometheus_takes_the_rules_and_they_fire_when_they_should() -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", RULES)
    promtool("test", "rules", TESTS)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_is_tried_and_names_a_section_of_the_runbook_that_names_it(alert: dict[str, Any]) -> None:
    tried = [case for one in yaml.safe_load(TESTS.read_text("utf-8"))["tests"] for case in one["alert_rule_test"]]
    mine = [bool(case["exp_alerts"]) for case in tried if case["alertname"] == alert["alert"]]
    assert set(mine) == {True, False}, "it has to fire in one test, and not to fire in another"

    page, _, anchor = alert["annotations"]["runbook"].partition("#")
    titles = re.findall(r"^#+ (.*)$", RUNBOOK, re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]
    assert page == "docs/runbook.md"
    assert anchor in anchors
    row = re.search(rf"^\| `{alert['alert']}` \|.*\(#{anchor}\)", RUNBOOK, re.MULTILINE)
    assert row, "the runbook lists each alert with its section"


def test_grafana_knows_every_field_of_the_dashboard() -> None:
    register_default_plugins()

    known = json.loads(json.dumps(Dashboard.from_json(DASHBOARD), cls=JSONEncoder))

    assert list(lost(DASHBOARD, known)) == []
    assert list(lost({"panels": [{"titel": "x"}]}, {"panels": [{}]})) == ["/panels/0/titel"]


def lost(ours: Any, known: Any, place: str = "") -> Iterator[str]:
    """Name what Grafana's own model of a dashboard did not keep."""
    if isinstance(ours, dict) and isinstance(known, dict):
        for name, value in ours.items():
            if name in known:
                yield from lost(value, known[name], f"{place}/{name}")
            else:
                yield f"{place}/{name}"
    elif isinstance(ours, list) and isinstance(known, list) and len(ours) == len(known):
        for number, (one, other) in enumerate(zip(ours, known, strict=True)):
            yield from lost(one, other, f"{place}/{number}")
    elif ours != known:
        yield place


def test_panels_do_not_lie_upon_each_other() -> None:
    taken = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
