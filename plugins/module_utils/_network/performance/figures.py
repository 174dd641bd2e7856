# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a series of round-trip times says."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["distribution", "jitter"]


def distribution(times: Sequence[float]) -> dict | None:
    """Return min, mean, median, p95, p99, max and stddev of ``times``, in their unit; ``None`` if there are none.

    A percentile is the smallest of the times that at least so many percent do not exceed (nearest rank), so it was
    measured. The standard deviation is that of the population, as ping's mdev.
    """
    if not times:
        return None
    ranked = sorted(times)
    mean = math.fsum(ranked) / len(ranked)
    return {
        "min": ranked[0],
        "mean": round(mean, 3),
        "median": _percentile(ranked, 50),
        "p95": _percentile(ranked, 95),
        "p99": _percentile(ranked, 99),
        "max": ranked[-1],
        "stddev": round(math.sqrt(math.fsum((one - mean) ** 2 for one in ranked) / len(ranked)), 3),
    }


def jitter(times: Sequence[float]) -> float | None:
    """Return the interarrival jitter of RFC 3550, section 6.4.1, in the unit of ``times``; ``None`` of less than two.

    The RFC takes transit times of one direction, for which both hosts need the same clock. Here they are round-trip
    times, in the order in which the packets were sent, so both directions are in it.
    """
    if len(times) < 2:
        return None
    smoothed = 0.0
    for before, after in zip(times, times[1:]):
        smoothed += (abs(after - before) - smoothed) / 16
    return round(smoothed, 3)


def _percentile(ranked: Sequence[float], percent: int) -> float:
    return ranked[math.ceil(len(ranked) * percent / 100) - 1]
