"""Figures as tables: for a terminal, and for a page of documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.figures import Figure
    from benchmarks.results import Record

_HEAD: Final = ("Figure", "Value", "From", "Mark", "")


def plain_table(part: str, record: Record) -> str:
    """Give a part's figures in aligned columns."""
    rows = [_HEAD, *(_cells(figure) for figure in record.figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([f"{part}: {record.title} ({record.seconds:.0f} s)", *lines, "", ""])


def markdown_table(record: Record) -> str:
    """Give a part's figures, and below them where, when and with what they were measured."""
    rows = ["| Figure | Value | From | Mark | |", "| --- | ---: | --- | --- | --- |"]
    rows += ["| " + " | ".join(_escaped(cell) for cell in _cells(figure)) + " |" for figure in record.figures]
    return "\n".join([*rows, "", _provenance(record)])


def marks_in_words(records: Mapping[str, Record]) -> str:
    """Say how many marks are reached, and each one that is not."""
    held = [(part, figure) for part, record in records.items() for figure in record.figures if figure.mark]
    missed = [(part, figure) for part, figure in held if figure.verdict == "MISSED"]
    said = [f"{len(held) - len(missed)} of {len(held)} marks are reached."]
    if missed:
        said += ["", "Missed:", "", *(_missed(part, figure) for part, figure in missed)]
    return "\n".join(said)


def _missed(part: str, figure: Figure) -> str:
    said = figure.mark.saying if figure.mark else ""
    return f"- *{part}*: {figure.what} is {figure.shown} ({figure.from_what}); the mark is {said}."


def _cells(figure: Figure) -> tuple[str, ...]:
    return (figure.what, figure.shown, figure.from_what, figure.mark.saying if figure.mark else "", figure.verdict)


def _provenance(record: Record) -> str:
    machine = record.machine
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return (
        f"Measured {record.date[:10]} in {record.seconds:.0f} s on {machine['cores']} cores of {machine['processor']}"
        f" with {machine['memory']} of memory, {machine['system']}: {versions}."
    )


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
