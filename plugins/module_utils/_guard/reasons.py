# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why an attempt failed, and whether another one may help."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from .._core.errors import ERROR_KINDS, ValidationError

__all__ = ["RETRY_ON_SPEC", "RetryOn", "explain", "kind_of", "retry_after"]

RETRY_ON_SPEC = {
    "kinds": {"type": "list", "elements": "str", "choices": list(ERROR_KINDS)},
    "rc": {"type": "list", "elements": "int"},
    "match": {"type": "str"},
    "when": {"type": "list", "elements": "str"},
}
"""The options of a rule, as an argument spec."""

_TRANSIENT = ("timeout", "unavailable")
_LONGEST_REASON = 500

# https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9 and 15.6, https://www.rfc-editor.org/rfc/rfc6585#section-4
_KIND_STATUSES = {
    "validation": (400, 422),
    "permission": (401, 403),
    "not_found": (404, 410),
    "conflict": (409,),
    "timeout": (408, 504),
    "unavailable": (425, 429, 500, 502, 503, -1),  # -1: ansible.builtin.uri got no answer
}
_STATUS_KINDS = {status: kind for kind, statuses in _KIND_STATUSES.items() for status in statuses}
# What the C library, Python, ssh, curl and apt say (strerror(3), getaddrinfo(3)).
_TIMED_OUT = re.compile(r"timed? ?out|deadline exceeded", re.IGNORECASE)
_UNAVAILABLE = re.compile(
    "|".join(
        (
            *("connection refused", "connection reset", "connection aborted", "connection closed", "broken pipe"),
            *("no route to host", "network is unreachable", "host is down", "temporarily unavailable"),
            *("temporary failure in name resolution", "name or service not known", "could not resolve"),
            *("failed to connect", "service unavailable", "bad gateway", "too many requests", "could not get lock"),
        )
    ),
    re.IGNORECASE,
)

_SAYS_NOTHING = re.compile(r"non-zero return code|^MODULE FAILURE|Module failed", re.IGNORECASE)


def kind_of(result: Mapping) -> str | None:
    """Return the ``error.kind`` of a failed result: its own, or what its status and texts tell; ``None`` if unknown."""
    error = result.get("error")
    kind = error.get("kind") if isinstance(error, Mapping) else None
    if kind in ERROR_KINDS:
        return str(kind)
    if result.get("unreachable"):
        return "unavailable"
    status = result.get("status")
    if isinstance(status, int) and not isinstance(status, bool) and status in _STATUS_KINDS:
        return _STATUS_KINDS[status]
    texts = _texts(result)
    if any(_TIMED_OUT.search(text) for text in texts):
        return "timeout"
    if any(_UNAVAILABLE.search(text) for text in texts):
        return "unavailable"
    return None


def explain(result: Mapping) -> str:
    """Return why a result is a failure, at most 500 characters."""
    texts = [text.strip() for text in _texts(result) if text.strip()]
    text = next((text for text in texts if not _SAYS_NOTHING.search(text)), "")
    text = text or next(iter(texts), "it failed without a message")
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 3]}..."


def _texts(result: Mapping) -> list[str]:
    found = [result.get(key) for key in ("msg", "stderr", "stdout", "module_stderr", "module_stdout")]
    return [str(text) for text in found if isinstance(text, str)]


@dataclass(frozen=True)
class RetryOn:
    """Which results are tried again: those that any of the given conditions holds for.

    Without a condition those of a failure of an unknown kind, or of one that time may mend (timeout, unavailable).

    :param kinds: words of ``ERROR_KINDS``.
    :param rc: return codes, of failures or not.
    :param match: a regular expression searched in ``msg``, ``stderr`` and ``stdout`` of a failure.
    :param when: conditions as in ``when:`` of a task, which all must hold for ``result``, be it a failure or not.
    """

    kinds: Sequence[str] = ()
    rc: Sequence[int] = ()
    match: re.Pattern | None = None
    when: Sequence[str] = ()

    @classmethod
    def from_options(cls, options: Mapping | None, where: str = "retry.on") -> RetryOn:
        """Return the rule that options after ``RETRY_ON_SPEC`` describe.

        :raises ValidationError: the regular expression is none, or a condition is empty.
        """
        if not options:
            return cls()
        match = options.get("match")
        try:
            pattern = None if match is None else re.compile(str(match))
        except re.error as error:
            raise ValidationError(
                f"{where}.match is not a regular expression: {error}.",
                hint="Escape ( and [ with \\.",
            ) from error
        when = options.get("when") or ()
        if not all(condition.strip() for condition in when):
            raise ValidationError(f"{where}.when has an empty condition.", hint="Leave it out.")
        return cls(tuple(options.get("kinds") or ()), tuple(options.get("rc") or ()), pattern, tuple(when))

    def applies(self, result: Mapping, holds: Callable[[str], bool]) -> bool:
        """Return whether ``result`` calls for another attempt.

        :param holds: evaluates one condition for this result.
        """
        failed = bool(result.get("failed") or result.get("unreachable"))
        if not (self.kinds or self.rc or self.match or self.when):
            return failed and kind_of(result) in (None, *_TRANSIENT)
        if self.rc and result.get("rc") in self.rc:
            return True
        if failed and self.kinds and kind_of(result) in self.kinds:
            return True
        if failed and self.match and any(self.match.search(text) for text in _texts(result)):
            return True
        return bool(self.when) and all(holds(condition) for condition in self.when)


def retry_after(result: Mapping, now: float) -> float | None:
    """Return how many seconds the server asks to wait, ``None`` where it does not.

    It is the header Retry-After (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after), as ``ansible.builtin.uri``
    returns it, in seconds or as a date, or ``retry_after`` in the ``error`` of a result.

    :param now: seconds since the epoch.
    """
    error = result.get("error")
    value = result.get("retry_after")
    if value is None and isinstance(error, Mapping):
        value = error.get("retry_after")
    if value is None or isinstance(value, bool):
        return None
    try:
        wait = float(value)
    except (TypeError, ValueError):
        try:
            moment = parsedate_to_datetime(str(value))
        except (TypeError, ValueError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        wait = (moment - datetime.fromtimestamp(now, timezone.utc)).total_seconds()
    return max(wait, 0.0) if math.isfinite(wait) else None
