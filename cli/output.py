# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the commands speak: tables for people, JSON for programs, errors on standard error."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence

from ..plugins.module_utils._core.errors import ToolkitError

__all__ = ["ProgressBar", "complain", "print_json", "progress", "table", "terminal_width"]


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


def terminal_width() -> int:
    """Return the columns of the terminal that standard output is, 0 when it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


class ProgressBar:
    """A bar on standard error for work that takes long: call it with ``(done, total)``; a context manager.

    It shows on a terminal only, from the second second on, and leaves nothing behind.

    :param label: what is being done, such as ``Indexing``.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._began = time.monotonic()
        self._shown = 0.0
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` are done."""
        now = time.monotonic()
        if self._terminal and now - self._began >= 1 and now - self._shown >= 0.1:
            self._shown = now
            print("\r" + self.text(done, total) + "\x1b[K", end="", file=sys.stderr, flush=True)

    def text(self, done: int, total: int, columns: int = 30) -> str:
        """Return the bar as text."""
        share = min(done / total, 1) if total else 1
        filled = round(columns * share)
        return f"{self._label} [{'#' * filled}{'.' * (columns - filled)}] {share:4.0%} of {total:,}"


def complain(error: ToolkitError, as_json: bool = False) -> int:
    """Print a failure (with ``as_json`` as JSON on standard output too) and return the exit code for it."""
    if as_json:
        print_json({"failed": True, "error": error.as_dict()})
    print(f"toolkit: {error.as_result()['msg']}", file=sys.stderr)
    return 1
