# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the commands speak: tables for people, JSON for programs, errors on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from ..plugins.module_utils._core.errors import ToolkitError

__all__ = ["complain", "print_json", "progress", "table"]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns under ``header``, without spaces at the ends of lines."""
    lines = [tuple(header), *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def print_json(data: object) -> None:
    """Print ``data`` as indented JSON with sorted keys."""
    print(json.dumps(data, indent=2, sort_keys=True))


def progress(message: str) -> None:
    """Tell a person on standard error what takes time, so that standard output stays a result."""
    print(message, file=sys.stderr, flush=True)


def complain(error: ToolkitError, as_json: bool = False) -> int:
    """Print a failure (with ``as_json`` as JSON on standard output too) and return the exit code for it."""
    if as_json:
        print_json({"failed": True, "error": error.as_dict()})
    print(f"toolkit: {error.as_result()['msg']}", file=sys.stderr)
    return 1
