# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a bulk call did: one outcome per item, failures collected so that the rest is still done."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import NotFoundError, PermissionDenied, ToolkitError, UnavailableError

__all__ = ["Outcomes", "error_from_os"]


class Outcomes:
    """Collects ``{item, changed, ...}`` per item, the diffs, and the failures.

    Use ``with outcomes.item(name) as outcome:`` around the work on one item and put what is to be told into
    ``outcome`` (a dict with ``item`` and ``changed`` preset). A :class:`ToolkitError` or ``OSError`` inside marks the
    item as failed and lets the next item go on; :meth:`result` then gives a failing result that names them all.
    """

    def __init__(self) -> None:
        self.entries: list[dict] = []
        self.diffs: list[dict] = []
        self._errors: list[ToolkitError] = []

    @contextmanager
    def item(self, name: str) -> Iterator[dict]:
        outcome: dict = {"item": name, "changed": False}
        self.entries.append(outcome)
        try:
            yield outcome
        except ToolkitError as error:
            self._fail(outcome, error)
        except OSError as error:
            self._fail(outcome, error_from_os(error))

    def _fail(self, outcome: dict, error: ToolkitError) -> None:
        error.item = error.item or outcome["item"]
        outcome["failed"] = True
        outcome["error"] = error.as_dict()
        self._errors.append(error)

    @property
    def changed(self) -> bool:
        """True when any item was (in check mode: would be) changed."""
        return any(entry["changed"] for entry in self.entries)

    @property
    def failed(self) -> bool:
        """True when any item failed."""
        return bool(self._errors)

    def result(self) -> dict:
        """Return ``changed``, ``outcomes``, ``diff`` and ``failed``; with ``msg`` and ``error`` (of the first
        failure) when an item failed. Pass it to ``exit_json`` or, if ``failed``, to ``fail_json``."""
        result: dict = {"changed": self.changed, "failed": False, "outcomes": self.entries, "diff": self.diffs}
        if self._errors:
            result.update(self._errors[0].as_result())
            if len(self._errors) > 1:
                others = ", ".join(str(error.item) for error in self._errors[1:])
                result["msg"] += f" {len(self._errors) - 1} more failed: {others}."
        return result


def error_from_os(error: OSError) -> ToolkitError:
    """Return the :class:`ToolkitError` that says what an ``OSError`` means to a person."""
    where = f"{error.filename}: " if error.filename else ""
    text = f"{where}{error.strerror or error}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return PermissionDenied(text, hint="Use become: true, or a user who may do this.")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UnavailableError(text, hint="Free space on that file system; nothing was half-written.")
    if error.errno == errno.EROFS:
        return UnavailableError(text, hint="The file system is read-only; remount it for writing.")
    if error.errno == errno.ENOENT:
        return NotFoundError(text)
    return UnavailableError(text)
