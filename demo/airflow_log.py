"""What Airflow says, line by line: JSON on its way in, text for the person who reads the log."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

_OURS: Final = "airflow_midjourney"

#: Which task of the DAG a logger belongs to, by the end of its name.
_TASKS: Final = {"DescribeImagesOperator": "submit", "DescribeImagesSensor": "wait", "BatchTrigger": "trigger"}

#: Keys of a JSON line that are told in their own way, or say nothing here.
_TOLD: Final = frozenset({"timestamp", "level", "event", "logger", "exception", "error_detail", "filename", "lineno"})


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of Airflow's log.

    :param logger: empty for output that is no log line.
    :param errors: messages of an exception and its causes, outermost first.
    :param trace: where each of them came from.
    :param more: other facts of the line.
    """

    text: str
    time: str = ""
    level: str = ""
    logger: str = ""
    errors: tuple[str, ...] = ()
    trace: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Whether this product said it, not Airflow."""
        return _OURS in self.logger

    @property
    def task(self) -> str:
        """The task of the DAG that said it."""
        return _TASKS.get(self.logger.rpartition(".")[2], "airflow")

    @property
    def is_failure(self) -> bool:
        """Whether a task has failed with this line, even if Airflow would try again in a minute."""
        return self.level in ("error", "critical") and bool(self.errors)

    def as_text(self) -> str:
        """Give the line, or several if it holds an exception, for a log that people read."""
        if not self.time:
            return self.text
        more = "".join(f" {name}={value}" for name, value in self.more.items())
        first = f"{self.time[:23]} {self.level:<8} {self.text}{more} ({self.logger})"
        return "\n".join([first, *(f"    {told}" for told in (*self.errors, *self.trace))])


def read_line(line: str) -> LogLine:
    """Read one line of output, be it JSON or not."""
    try:
        fields = json.loads(line)
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or "event" not in fields:
        return LogLine(line)
    exceptions = _exceptions(fields)
    return LogLine(
        text=str(fields["event"]),
        time=str(fields.get("timestamp", "")),
        level=str(fields.get("level", "")),
        logger=str(fields.get("logger", "")),
        errors=tuple(f"{one.get('exc_type', 'Error')}: {one.get('exc_value', '')}" for one in exceptions),
        trace=tuple(place for one in exceptions for place in _places(one)),
        more={name: value for name, value in fields.items() if name not in _TOLD},
    )


def _exceptions(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Give an exception and its causes, as structlog writes them into JSON."""
    given = fields.get("exception") or fields.get("error_detail")
    if isinstance(given, str):
        return [{"exc_value": given}]
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def _places(one: dict[str, Any]) -> list[str]:
    frames = one.get("frames")
    if not isinstance(frames, list):
        return []
    return [
        f"at {frame.get('filename')}:{frame.get('lineno')} in {frame.get('name')}"
        for frame in frames
        if isinstance(frame, dict)
    ]
