# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Custom events: what a playbook or an action of this collection wants on record, carried in a task's result.

Workers never write the trail. An action puts ``audit_events: [{event_type, details}]`` into its result, and the
callback records them with the task that they came from, so that they can't be taken for events of the trail's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .canonical import plain
from .redact import Redactor

__all__ = ["EVENTS_KEY", "GUARD_DECISION", "RESERVED", "custom_events", "event_type_problem"]

EVENTS_KEY = "audit_events"
"""The key of a result that carries events."""

GUARD_DECISION = "GUARD_DECISION"
"""The type of the events of guarded tasks."""

RESERVED = frozenset(
    (
        *("EXECUTION_START", "EXECUTION_END", "PLAY_START", "TASK_RESULT", "FILE_MODIFICATION", "SENSITIVE_ACCESS"),
        *("CONFIG_CHANGE", "INTERRUPTED", "SEGMENT_CLOSED", "LOG_REPAIRED", "LOG_PRUNED", "KEY_ADDED", "KEY_RETIRED"),
        *("ENTRY_ERASED", "ERASED", "JOURNAL_IMPORTED"),
    )
)
"""Event types of the trail itself."""

_TYPE = re.compile(r"[A-Z][A-Z0-9_]{2,63}\Z")
_MOST = 1000


def event_type_problem(event_type: object) -> str | None:
    """Return why this can't be the type of a custom event, or ``None``."""
    if not isinstance(event_type, str) or not _TYPE.match(event_type):
        return f"{event_type!r} is not an event type: 3 to 64 capital letters, digits and underscores"
    if event_type in RESERVED:
        return f"{event_type} is an event type of the trail itself"
    return None


def custom_events(data: Mapping, source: Mapping, redactor: Redactor) -> Iterator[tuple[str, dict]]:
    """Yield ``(event_type, details)`` of at most 1,000 events in a result; what is not well formed is left out.

    :param source: the task that carried them; it becomes ``source`` of the details.
    """
    carried = data.get(EVENTS_KEY)
    if not isinstance(carried, (list, tuple)):
        return
    for entry in carried[:_MOST]:
        if not isinstance(entry, Mapping) or event_type_problem(entry.get("event_type")):
            continue
        told = entry.get("details")
        details = redactor.value(told) if isinstance(told, Mapping) else {}
        details["source"] = dict(source)
        yield str(plain(entry["event_type"])), details
