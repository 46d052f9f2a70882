"""``python -m airflow_midjourney.testing``: serve one dialect of the simulator in the foreground."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_midjourney.testing.simulator.catalogue import CATALOGUE
from airflow_midjourney.testing.simulator.scenarios import ScenarioBook, ScenarioError
from airflow_midjourney.testing.simulator.serving import serve
from airflow_midjourney.testing.simulator.settings import DialectName, Layout, SettingError, SimulatorSettings

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    given = _parser().parse_args(arguments)
    if given.list_scenarios:
        width = max(map(len, CATALOGUE))
        print("\n".join(f"{scenario.name:<{width}}  {scenario.explanation}" for scenario in CATALOGUE.values()))
        return 0
    try:
        settings = _settings(given)
        ScenarioBook(settings.dialect, settings.scenarios)
        serve(settings, given.ready_file)
    except (ScenarioError, SettingError) as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        print(f"simulator: cannot listen on {given.host}:{given.port}: {error}", file=sys.stderr)
        return 1
    return 0


def _settings(given: argparse.Namespace) -> SimulatorSettings:
    return SimulatorSettings(
        dialect=DialectName(given.dialect),
        host=given.host,
        port=given.port,
        key=given.key,
        latency=given.latency,
        slots=given.slots,
        queue=given.queue,
        poll_interval=given.poll_interval,
        layout=Layout(given.layout),
        body_limit=given.body_limit,
        hang=given.hang,
        pause=given.pause,
        administrator=given.administrator,
        forwards_hooks=given.forwards_hooks,
        price=given.price,
        seed=given.seed,
        scenarios=tuple(given.scenario),
    )


def _parser() -> argparse.ArgumentParser:
    defaults = SimulatorSettings()
    parser = argparse.ArgumentParser(prog="simulator", description="A stand-in for a describe service.")
    option = parser.add_argument
    option("--dialect", choices=[str(name) for name in DialectName], default=str(defaults.dialect))
    option("--host", default=defaults.host)
    option("--port", type=int, default=defaults.port, help="0 (default): a free one")
    option("--key", default="", help="the API key asked for; none by default")
    option("--latency", type=float, default=defaults.latency, help="seconds per task (%(default)s)")
    option("--slots", type=int, default=defaults.slots, help="tasks that run at once (%(default)s)")
    option("--queue", type=int, default=defaults.queue, help="tasks that may wait (%(default)s)")
    option("--poll-interval", type=float, default=defaults.poll_interval, help="new-api: seconds (%(default)s)")
    option("--layout", choices=[str(layout) for layout in Layout], default=str(defaults.layout))
    option("--body-limit", type=int, help="largest request in bytes; by default the dialect's own")
    option("--hang", type=float, default=defaults.hang, help="seconds of silence in scenarios (%(default)s)")
    option("--pause", type=float, default=defaults.pause, help="seconds of slowness in scenarios (%(default)s)")
    option("--administrator", action="store_true", help="trueai: the key may cancel tasks")
    option("--forwards-hooks", action="store_true", help="new-api: notifyHook reaches the upstream")
    option("--price", type=float, default=defaults.price, help="of one description, for the counters")
    option("--seed", type=int, help="makes identifiers and latencies repeatable")
    option("--scenario", action="append", default=[], metavar="NAME[:first=N][:every=N][:share=P][,NAME...]")
    option("--list-scenarios", action="store_true", help="show all scenarios and end")
    option("--ready-file", type=Path, help="gets the URL once the simulator listens")
    return parser


if __name__ == "__main__":
    sys.exit(main())
