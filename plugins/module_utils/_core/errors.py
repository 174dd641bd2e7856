# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one exception family of the collection.

Rooms raise these; ``main()`` of a module and ``run()`` of an action turn them into a failing result once, through
:func:`ToolkitError.as_result`. Retry rules, circuit breakers, the audit trail and people read ``error.kind``.
"""

from __future__ import annotations

__all__ = [
    "ERROR_KINDS",
    "ConflictError",
    "DependencyError",
    "IntegrityError",
    "InternalError",
    "NotFoundError",
    "PermissionDenied",
    "TimeoutExpired",
    "ToolkitError",
    "UnavailableError",
    "UnsafeError",
    "ValidationError",
]


class ToolkitError(Exception):
    """A failure that a person can act on.

    :param message: what is wrong, naming the option, file, unit or host concerned.
    :param hint: the way out, one sentence; optional.
    :param item: the item of a bulk call (its name or path); optional.
    """

    kind = "internal"

    def __init__(self, message: str, hint: str | None = None, item: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.item = item

    def as_dict(self) -> dict:
        """Return ``{kind, message, hint, item}``; absent parts are ``None``."""
        return {"kind": self.kind, "message": self.message, "hint": self.hint, "item": self.item}

    def as_result(self) -> dict:
        """Return the keys of a failing result: ``msg`` for people, ``error`` for programs."""
        prefix = f"{self.item}: " if self.item and self.item not in self.message else ""
        suffix = f" {self.hint}" if self.hint else ""
        return {"failed": True, "msg": f"{prefix}{self.message}{suffix}", "error": self.as_dict()}


class ValidationError(ToolkitError):
    """An option or a file has a value that can't be used."""

    kind = "validation"


class DependencyError(ToolkitError):
    """A program, library or package that is needed is missing."""

    kind = "dependency"


class PermissionDenied(ToolkitError):
    """The user may not do this."""

    kind = "permission"


class NotFoundError(ToolkitError):
    """A thing that must exist does not."""

    kind = "not_found"


class ConflictError(ToolkitError):
    """Two wishes, or a wish and the state found, exclude each other."""

    kind = "conflict"


class TimeoutExpired(ToolkitError):
    """Something did not happen in time."""

    kind = "timeout"


class UnavailableError(ToolkitError):
    """A server, mirror or host does not answer now; trying again may help."""

    kind = "unavailable"


class IntegrityError(ToolkitError):
    """Data is not what it should be: a checksum, signature or format does not hold."""

    kind = "integrity"


class UnsafeError(ToolkitError):
    """A destructive act that was not allowed explicitly; the hint names the option that allows it."""

    kind = "unsafe"


class InternalError(ToolkitError):
    """A defect of the collection itself."""

    kind = "internal"


ERROR_KINDS = (
    "validation",
    "dependency",
    "permission",
    "not_found",
    "conflict",
    "timeout",
    "unavailable",
    "integrity",
    "unsafe",
    "internal",
)
