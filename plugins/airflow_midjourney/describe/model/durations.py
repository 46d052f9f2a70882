"""Lengths of time as a person says them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Give a length of time as a person would say it: seconds do not matter after three minutes."""
    left = round(seconds)
    if left < 180:
        return f"{left} s"
    parts: list[str] = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60)):
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {name}")
    return " ".join(parts[:2])
