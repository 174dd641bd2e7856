# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules ask of the index."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ...._core.errors import ValidationError
from ...._core.paths import base_directory
from ..query import FIELDS, filters_of, jmespath_filter
from ..report import build_report, report_markdown, report_text
from .index import Index

__all__ = ["INDEX_SPEC", "report", "search", "trail_directory"]

INDEX_SPEC: dict[str, dict] = {
    "log_directory": {"type": "path"},
    "index": {"type": "str"},
    "since": {"type": "str"},
    "until": {"type": "str"},
    **{name: {"type": "list", "elements": "str", "default": []} for name in FIELDS},
}
"""The options that the modules on the index share."""


def trail_directory(directory: str | None) -> str:
    """Return where the trail lies that an option names, or by default."""
    return os.path.abspath(directory or os.path.join(base_directory("log"), "audit"))


def _open(params: Mapping[str, Any], warn: Callable[[str], object]) -> Index:
    index = Index(trail_directory(params["log_directory"]), params["index"])
    index.catch_up()
    for warning in index.warnings:
        warn(warning)
    return index


def search(params: Mapping[str, Any], warn: Callable[[str], object]) -> dict:
    """Return ``entries`` and ``cursor``, as the module ``audit_search_info`` does.

    :param params: its options.
    :raises ToolkitError: an option can't be understood, or the index can't be used.
    """
    if params["limit"] < 1:
        raise ValidationError(f"limit={params['limit']} is not a number of entries.", hint="It is 1 or more.")
    filters, holds = filters_of(params), jmespath_filter(params["where"])
    with _open(params, warn) as index:
        page = index.search(filters, params["limit"], params["cursor"], params["order"] == "newest", holds)
    return {"changed": False, "entries": page.entries, "cursor": page.cursor}


def report(params: Mapping[str, Any], warn: Callable[[str], object]) -> dict:
    """Return ``report`` and maybe ``text``, as the module ``audit_report_info`` does; see :func:`search`."""
    if params["top"] < 1:
        raise ValidationError(f"top={params['top']} is not a length.", hint="It is 1 or more.")
    filters = filters_of(params)
    with _open(params, warn) as index:
        result = {"changed": False, "report": build_report(index, filters, params["top"])}
    form = {"terminal": report_text, "markdown": report_markdown}.get(params["text_format"])
    if form is not None:
        result["text"] = form(result["report"])
    return result
