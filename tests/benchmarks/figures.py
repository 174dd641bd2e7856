# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What benchmarks make of their figures: medians, ratios, and tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

__all__ = ["Summary", "paired_ratio", "ratio", "summarize", "table"]


class Summary(dict):
    """``median``, ``min``, ``max`` and the number ``n`` of some measurements, in their unit."""

    def __str__(self) -> str:
        return f"{self['median']:.2f} ({self['min']:.2f} to {self['max']:.2f})"


def summarize(values: Sequence[float]) -> Summary:
    """Return the summary of ``values``.

    :raises ValueError: there are none.
    """
    if not values:
        raise ValueError("Nothing was measured.")
    return Summary(median=median(values), min=min(values), max=max(values), n=len(values))


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """Return the median of ``theirs`` over the median of ``ours``: above 1 where we are faster."""
    return median(theirs) / median(ours)


def paired_ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """Return the median of the ratios of runs that were made next to each other, which a machine's load distorts least.

    :raises ValueError: not every run has its pair.
    """
    if len(theirs) != len(ours):
        raise ValueError(f"{len(theirs)} runs of theirs can't be paired with {len(ours)} of ours.")
    return median(their / our for their, our in zip(theirs, ours))


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table that also reads well on a terminal; columns after the first are aligned right."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first, *others = zip(row, widths)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(padded)} |"

    first, *others = widths
    rule = f"|{'-' * (first + 2)}|" + "".join(f"{'-' * (width + 1)}:|" for width in others)
    return "\n".join([line(cells[0]), rule, *(line(row) for row in cells[1:])])
