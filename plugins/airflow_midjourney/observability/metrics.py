"""Metrics ``midjourney.describe.*`` through Airflow's own stats: StatsD, Datadog, OpenTelemetry, or none at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.observability.stats import Stats, normalize_name_for_stats

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.events import Event

PREFIX: Final = "midjourney.describe"

#: Seconds from the submission of an image to its end, as milliseconds.
WAIT: Final = f"{PREFIX}.wait"

#: What was billed, in the currency of the connection.
BILLED_COST: Final = f"{PREFIX}.billed_cost"

#: Images on their way.
IN_FLIGHT_GAUGE: Final = f"{PREFIX}.in_flight"


class StatsObserver:
    """Count what the engine does.

    What has a reason, or belongs to a connection, is sent twice, as Airflow does it: under the bare name with a tag,
    and under a name that ends in it, for backends without tags.
    """

    def happened(self, event: Event) -> None:
        """Count an event."""
        name = f"{PREFIX}.{event.kind}"
        if event.reason is None:
            Stats.incr(name, event.rows)
        else:
            Stats.incr(name, event.rows, tags={"reason": event.reason})
            Stats.incr(f"{name}.{event.reason}", event.rows)
        if event.cost is not None:
            cost: Any = float(event.cost)
            Stats.incr(BILLED_COST, cost, tags={"currency": event.currency or ""})
        if event.waited is not None:
            Stats.timing(WAIT, event.waited * 1000)

    def in_flight(self, service: str, images: int) -> None:
        """Show how many images a connection's account has on their way."""
        name = normalize_name_for_stats(service, log_warning=False)
        Stats.gauge(IN_FLIGHT_GAUGE, images, tags={"connection": name})
        Stats.gauge(f"{IN_FLIGHT_GAUGE}.{name}", images)
