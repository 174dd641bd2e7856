# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action ``network_report`` without ansible-core: options in, result out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...module_utils._audit.search.render import json_text
from ...module_utils._core.durable import Durable
from ...module_utils._core.errors import ValidationError
from ...module_utils._core.files import write_atomic
from ...module_utils._core.paths import base_directory
from ...module_utils._network.history import (
    HISTORY_SCHEMA,
    History,
    histories,
    kept_name,
    points_of,
    prune,
    record,
)
from .junit import junit_xml
from .metrics import metrics_text
from .page import html_page
from .report import Pair, Report, read_results
from .terminal import report_lines

__all__ = ["ARGUMENT_SPEC", "run"]

_FORMATS = {"html": "network.html", "json": "network.json", "junit": "network.xml"}

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "results": {"type": "dict", "required": True},
    "directory": {"type": "path"},
    "formats": {"type": "list", "elements": "str", "choices": list(_FORMATS), "default": list(_FORMATS)},
    "metrics_path": {"type": "path"},
    "history": {"type": "bool", "default": True},
    "history_path": {"type": "path"},
    "keep_days": {"type": "int", "default": 90},
    "keep_runs": {"type": "int", "default": 1000},
    "last": {"type": "int", "default": 10},
    "minimum_score": {"type": "int", "default": 0},
}


def run(options: Mapping[str, Any], now: float, check_mode: bool = False) -> dict[str, Any]:
    """Keep the history, write the reports and return the result.

    :param options: as ``ARGUMENT_SPEC`` gives them.
    :param now: seconds since the epoch.
    :param check_mode: whether nothing is kept and written.
    :raises ToolkitError: an option can't be used, something can't be written.
    """
    for option, least, most in (("keep_days", 1, 36500), ("keep_runs", 1, 10**7), ("last", 1, 1000)):
        _within(options, option, least, most)
    _within(options, "minimum_score", 0, 100)
    results, missing = read_results(options["results"])
    pairs = tuple(Pair(host, outcome) for host, result in results.items() for outcome in result["outcomes"])
    report = Report(now, pairs, results, missing)
    if options["history"]:
        past = _remember(options, results, now, check_mode)
        pairs = tuple(
            replace(pair, history=past.get((kept_name(pair.vantage), kept_name(pair.target)))) for pair in pairs
        )
        report = replace(report, pairs=pairs)
    written = [] if check_mode else _write(report, options)
    told = report.as_dict()
    result: dict[str, Any] = {"failed": False, **told, "lines": report_lines(report), "written": written}
    if report.score < options["minimum_score"]:
        message = f"The score {report.score} is below the wanted {options['minimum_score']}."
        first = told["causes"][0]["summary"] if told["causes"] else next(iter(missing.values()), "")
        error = {"kind": "unavailable", "message": message, "hint": first or None, "item": None}
        result.update(failed=True, msg=f"{message} {first}".strip(), error=error)
    return result


def _within(options: Mapping[str, Any], option: str, least: int, most: int) -> None:
    if not least <= options[option] <= most:
        raise ValidationError(f"{option}={options[option]} is out of range.", hint=f"Use {least} to {most}.")


def _remember(
    options: Mapping[str, Any], results: Mapping[str, Mapping], now: float, check_mode: bool
) -> dict[tuple[str, str], History]:
    path = options["history_path"] or os.path.join(base_directory("state"), "network", "history.sqlite")
    durable = Durable(path, HISTORY_SCHEMA)
    try:
        if check_mode:
            if not durable.exists():
                return {}
            with durable.reading() as database:
                return histories(database, options["last"])
        with durable.transaction() as database:
            record(database, now, [point for host, result in results.items() for point in points_of(host, result)])
            prune(database, now, options["keep_days"], options["keep_runs"])
            return histories(database, options["last"])
    finally:
        durable.close()


def _write(report: Report, options: Mapping[str, Any]) -> list[str]:
    """Write the files that are wanted, each as a whole, and return their paths."""
    made = {"html": html_page, "json": _json, "junit": junit_xml}
    written = []
    if options["directory"]:
        os.makedirs(options["directory"], mode=0o755, exist_ok=True)
        for form in dict.fromkeys(options["formats"]):
            path = os.path.join(options["directory"], _FORMATS[form])
            write_atomic(path, made[form](report), mode=0o600)
            written.append(path)
    if options["metrics_path"]:
        # The node exporter runs as another user.
        write_atomic(options["metrics_path"], metrics_text(report).encode("utf-8", "replace"), mode=0o644)
        written.append(options["metrics_path"])
    return written


def _json(report: Report) -> bytes:
    whole = {"version": 1, "generated": int(report.generated), **report.as_dict(), "results": dict(report.results)}
    return json_text(whole, indent=2).encode() + b"\n"
