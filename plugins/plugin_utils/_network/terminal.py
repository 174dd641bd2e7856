# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report for a terminal, as lines. What came over the network may be hostile, so it is cleaned."""

from __future__ import annotations

from ...module_utils._audit.search.render import clean, shorten, table
from .report import Report, rows

__all__ = ["report_lines"]

_MOST_COLUMNS = 12
_NAME = 14
_TOLD = 20


def report_lines(report: Report) -> list[str]:
    """Return the report as lines of about 100 columns."""
    counts = report.counts
    lines = [
        (
            f"Score {report.score} {report.grade}: {counts['pairs']} targets seen from {counts['hosts']} hosts,"
            f" {counts['failed']} failed"
        )
    ]
    if report.missing:
        lines += ["", "Hosts without a result"]
        lines += [f"  {clean(host)}: {shorten(clean(why), 100)}" for host, why in report.missing.items()]
    causes = report.causes()
    if causes:
        lines += ["", "What is wrong"]
    for cause in causes[:_TOLD]:
        told = cause.as_dict()
        lines.append(f"  {shorten(clean(told['summary']), 110)}")
        lines += [f"      {shorten(clean(told[key]), 110)}" for key in ("message", "remediation") if told[key]]
    if len(causes) > _TOLD:
        lines.append(f"  and {len(causes) - _TOLD} more")
    return lines + _matrix(report) + _worst(report)


def _matrix(report: Report) -> list[str]:
    """Scores, a row for each host and a column for each target; ``!`` marks a fault, ``.`` what was not probed."""
    targets = report.targets
    if not targets or len(targets) > _MOST_COLUMNS:
        return []
    header = ["", *(shorten(clean(target), _NAME) for target in targets)]
    body = []
    for vantage, pairs in rows(report):
        cells = {pair.target: f"{pair.outcome['score']}{'!' if pair.failed else ''}" for pair in pairs}
        body.append([shorten(clean(vantage), _NAME * 2), *(cells.get(target, ".") for target in targets)])
    return ["", *table(header, body).split("\n")]


def _worst(report: Report) -> list[str]:
    """The targets with a past that is not spotless."""
    told = [pair for pair in report.pairs if pair.history and pair.history.rounds > 1 and pair.history.failures]
    told.sort(key=lambda pair: -pair.history.failure_rate)
    if not told:
        return []
    body = [
        (
            pair.vantage,
            pair.target,
            f"{100 * pair.history.failure_rate:.0f}% of {pair.history.rounds}",
            pair.history.trend,
            " ".join(map(str, pair.history.scores)),
        )
        for pair in told[:_TOLD]
    ]
    return ["", *table(("FROM", "TO", "FAILED", "TREND", "LAST SCORES"), body, 110).split("\n")]
