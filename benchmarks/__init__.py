"""Measurements next to what users would do instead; they are no tests.

``python -m benchmarks`` runs the parts. A part is one module here with ``measure(*, quick)``, which gives a list of
:class:`benchmarks.figures.Figure`; a new part is a new file, and a pair of markers in ``docs/performance.md``.
"""

from __future__ import annotations

import sys
from pathlib import Path

# What is measured is what lies here.
_FOLDERS = [str(Path(__file__).parents[1] / "plugins"), str(Path(__file__).parents[1])]
sys.path[:0] = [folder for folder in _FOLDERS if folder not in sys.path]
