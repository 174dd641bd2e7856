# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as one HTML page that needs nothing else: no script, no font, no picture from anywhere.

What came over the network is hostile: all of it goes through :func:`_text`. The page's own policy forbids scripts, too.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from datetime import datetime, timezone

from ...module_utils._audit.search.render import clean
from .report import Pair, Report, rows

__all__ = ["html_page"]

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#1b1b1b;background:#fff}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}
table{border-collapse:collapse}td,th{padding:.25em .6em;text-align:left;border:1px solid #ddd;vertical-align:top}
.map td{text-align:right;min-width:2.5em}.map th{font-weight:normal}
.excellent{background:#bfe5c4}.good{background:#e2efb8}.fair{background:#ffe3a0}.critical{background:#f6b3ab}
.none{background:#f3f3f3;color:#888}.score{font-size:2em;padding:.1em .5em;border-radius:.2em}
.bar{display:inline-block;height:.8em;background:#4a78b5;min-width:1px}.scroll{overflow-x:auto}
.small{color:#666;font-size:.9em}
"""

_LONGEST_BAR = 20
"""Of the bars of latency, in em."""
_MOST_BARS = 200


def html_page(report: Report) -> bytes:
    """Return the page as UTF-8."""
    return "\n".join(_page(report)).encode("utf-8", "replace")


def _page(report: Report) -> Iterator[str]:
    moment = datetime.fromtimestamp(report.generated, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    counts = report.counts
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">"""
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>Network: {report.score} {report.grade}</title>\n<style>{_STYLE}</style>\n</head>\n<body>"
    yield "<h1>Network diagnosis</h1>"
    yield f'<p><span class="score {report.grade.lower()}">{report.score}</span> {report.grade}</p>'
    yield (
        f"<p>{counts['pairs']} targets seen from {counts['hosts']} hosts, {counts['failed']} failed."
        f' <span class="small">{moment}</span></p>'
    )
    if report.missing:
        yield "<h2>Hosts without a result</h2>\n<ul>"
        yield from (f"<li><b>{_text(host)}</b>: {_text(why)}</li>" for host, why in report.missing.items())
        yield "</ul>"
    yield from _causes(report)
    yield from _map(report)
    yield from _latencies(report)
    yield from _history(report)
    yield "</body>\n</html>\n"


def _causes(report: Report) -> Iterator[str]:
    causes = [cause.as_dict() for cause in report.causes()]
    yield "<h2>What is wrong</h2>"
    if not causes:
        yield "<p>Nothing.</p>"
        return
    yield "<table>\n<tr><th>what</th><th>found</th><th>what to do</th></tr>"
    for cause in causes:
        cells = (cause["summary"], cause["message"], cause["remediation"])
        yield f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in cells)}</tr>"
    yield "</table>"


def _map(report: Report) -> Iterator[str]:
    """The heat map: a row for each host, a column for each target, the score in each cell."""
    targets = report.targets
    yield '<h2>Scores, from (rows) and to (columns)</h2>\n<div class="scroll"><table class="map">'
    yield f"<tr><th></th>{''.join(f'<th>{_text(target)}</th>' for target in targets)}</tr>"
    for vantage, pairs in rows(report):
        found = {pair.target: pair for pair in pairs}
        yield f"<tr><th>{_text(vantage)}</th>{''.join(_cell(found.get(target)) for target in targets)}</tr>"
    yield "</table></div>"


def _cell(pair: Pair | None) -> str:
    if pair is None:
        return '<td class="none">-</td>'
    told = f"{pair.vantage} to {pair.target}: {pair.outcome['grade']}"
    if pair.failed:
        told += f", {pair.outcome['fault']['layer']} at fault: {pair.outcome['fault']['message']}"
    score = int(pair.outcome["score"])
    grade = _text(str(pair.outcome["grade"]).lower())
    mark = "!" if pair.failed else ""
    return f'<td class="{grade}" title="{_text(told)}">{mark}{score}</td>'


def _latencies(report: Report) -> Iterator[str]:
    found = sorted(
        ((pair.latency_ms, pair) for pair in report.pairs if pair.latency_ms is not None), key=lambda each: -each[0]
    )
    if not found:
        return
    longest = found[0][0] or 1.0
    yield "<h2>Latency, the slowest first</h2>\n<table>\n<tr><th>from</th><th>to</th><th>quickest answer</th></tr>"
    for latency, pair in found[:_MOST_BARS]:
        drawn = f'<span class="bar" style="width:{_LONGEST_BAR * latency / longest:.2f}em"></span> {latency:.2f} ms'
        yield f"<tr><td>{_text(pair.vantage)}</td><td>{_text(pair.target)}</td><td>{drawn}</td></tr>"
    yield "</table>"


def _history(report: Report) -> Iterator[str]:
    told = [pair for pair in report.pairs if pair.history and pair.history.rounds > 1]
    if not told:
        return
    yield "<h2>History</h2>\n<table>"
    yield "<tr><th>from</th><th>to</th><th>failed</th><th>trend</th><th>last scores</th></tr>"
    for pair in sorted(told, key=lambda pair: -pair.history.failure_rate):
        past = pair.history
        cells = (
            pair.vantage,
            pair.target,
            f"{100 * past.failure_rate:.0f}% of {past.rounds}",
            past.trend,
            " ".join(map(str, past.scores)),
        )
        yield f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in cells)}</tr>"
    yield "</table>"


def _text(value: object) -> str:
    return html.escape(clean(value), quote=True)
