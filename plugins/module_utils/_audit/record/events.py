# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events: what a play and a task result say of themselves, as plain details.

The objects come from ansible-core 2.18 to 2.22 and are only read by attribute, so nothing is imported. What does not
change from result to result of a task is worked out at its first one. ansible-core 2.19 and newer build the content of
a result anew for each callback that looks, so nobody looks where nothing is to be found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..metrics.counters import Tally, module_label
from .canonical import cut, plain
from .custom import GUARD_DECISION, custom_events
from .describe import Describer
from .files import file_modifications
from .redact import Redactor
from .sensitive import DEFAULT_SENSITIVE_PATHS, SensitivePaths, command_text

__all__ = ["DETAILS", "Event", "Events"]

DETAILS = ("none", "digest", "summary", "full")

Event = tuple
"""``(event_type, details)``."""

_TEXT = 600
_CACHE = 2048
_COMMANDS = frozenset(
    ("ansible.builtin.command", "ansible.builtin.shell", "ansible.builtin.raw", "ansible.builtin.script")
)
_READERS: Mapping[str, tuple[str, ...]] = {
    "ansible.builtin.slurp": ("src", "path"),
    "ansible.builtin.fetch": ("src",),
}
# What these return when they are done is nothing that a summary tells, or the playbook's own output.
_SILENT = frozenset(("ansible.builtin.set_fact", "ansible.builtin.debug", "ansible.builtin.add_host"))


class _Task:
    """What is the same for all results of a task."""

    __slots__ = (
        *("become", "constant", "delegates", "guards", "hidden", "includes", "kind", "loop", "own", "predicts"),
        *("silent", "special", "touches"),
    )

    def __init__(self, constant: dict, kind: str) -> None:
        self.constant, self.kind = constant, kind
        self.hidden = self.loop = self.delegates = self.own = self.predicts = self.touches = False
        self.guards = self.includes = self.silent = self.special = False
        self.become: dict | None = None


class Events:
    """Makes the details of events and keeps what it must know between them: start times and constants of tasks.

    :param detail: how much of a result is told: ``none``, ``digest``, ``summary`` or ``full`` (redacted).
    :param groups: the host groups that are counted by themselves.
    :param role_seen: called with each role whose task has a result, once per task.
    :param included: called with the task and the result of each ``include_vars``, before anything is recorded of it.
    """

    def __init__(
        self,
        redactor: Redactor,
        detail: str = "summary",
        sensitive_paths: Iterable[str] = DEFAULT_SENSITIVE_PATHS,
        diff: bool = False,
        groups: Iterable[str] = (),
        role_seen: Callable[[Any], object] | None = None,
        included: Callable[[Any, Mapping], object] | None = None,
    ) -> None:
        self.tally = Tally()
        self._uncounted = self.tally.waiting
        self.plays = 0
        self._redactor = redactor
        self._detail = detail
        self._diff = diff
        self._describe = Describer(redactor, detail).describe
        self._told = detail != "none"
        self._sensitive = SensitivePaths(sensitive_paths)
        self._wanted_groups = frozenset(groups)
        self._grouped = bool(self._wanted_groups)
        self._role_seen = role_seen
        self._included = included
        self.started: dict[tuple[str, str], float] = {}  # by host and task, in seconds of the monotonic clock
        self._tasks: dict[str, _Task] = {}
        self._groups: dict[str, tuple[str, ...]] = {}
        self._became: set[str] = set()
        self._looked: set[str] = set()

    def play_start(self, play: Any) -> dict:
        """Return the details of a play (a batch of it, with ``serial``)."""
        self.plays += 1
        for cache in (self._tasks, self.started, self._became, self._looked, self._groups):
            cache.clear()
        hosts = play.hosts if isinstance(play.hosts, str) else ",".join(str(host) for host in play.hosts or ())
        return {
            "play": self.plays,
            "name": self._name(play.get_name()),
            "hosts": cut(self._name(hosts), _TEXT),
            "strategy": self._name(play.strategy),
            "become": bool(play.become is True),
        }

    def task_result(self, result: Any, status: str, item: bool = False, ignored: bool = False) -> list[Event]:
        """Return the events of a task result, or of the result of one item of a loop: ``TASK_RESULT`` comes first.

        :param result: ansible-core's task result.
        :param status: ``ok``, ``failed``, ``skipped`` or ``unreachable``; it is refined here: a change makes
            ``changed``, an ignored failure ``ignored``, one inside a block with a rescue ``rescued``.
        :param ignored: the failure was ignored.
        """
        try:
            host, task = result.host, result.task
        except AttributeError:
            host, task = result._host, result._task
        uuid = task._uuid
        known = self._tasks.get(uuid) or self._remember(task)
        name = host.name
        details = dict(known.constant)
        details["host"] = str.__str__(name)
        data = None
        if not (known.hidden or (known.loop and not item)):
            # The result of a whole loop holds those of its items, which were recorded one by one.
            if item or not (known.silent and status == "ok"):
                try:
                    data = result.result
                except AttributeError:
                    data = result._result
                if known.includes and self._included is not None:
                    self._included(task, data)
                if "censored" in data or data.get("_ansible_no_log"):
                    details["no_log"] = True
        elif known.hidden:
            details["no_log"] = True
        changed = bool(result.is_changed() if data is None else data.get("changed"))
        if status == "ok":
            status = "changed" if changed else "ok"
        elif status == "failed":
            if ignored:
                status = "ignored"
            elif not item and _will_be_rescued(task):
                status = "rescued"
        details["status"] = status
        details["changed"] = changed
        if not item:
            milliseconds = None
            started = self.started.pop((name, uuid), None)
            if started is not None:
                details["duration_ms"] = milliseconds = round((time.monotonic() - started) * 1000)
            groups = self._groups_of(host) if self._grouped else ()
            self._uncounted.append((known.kind, status, milliseconds, groups))
        if known.delegates and "no_log" not in details and isinstance(task.delegate_to, str):
            details["delegated_to"] = self._name(task.delegate_to)
        events: list[Event] = [("TASK_RESULT", details)]
        if data is not None and "no_log" not in details and self._told:
            self._describe(details, data, item)
        if status == "skipped" or status == "unreachable":
            if known.guards and data is not None:
                self._own(details, data, known, events)
            return events
        if "no_log" in details:
            if item or not known.loop:
                events.append(("SENSITIVE_ACCESS", self._access(details, "no_log", "EXECUTE")))
        elif data is not None and (known.special or changed):
            self._look(details, data, task, known, events)
        if (known.become is not None or name not in self._looked) and name not in self._became:
            self._note_become(host, known, details, events)
        return events

    def _look(self, details: dict, data: Mapping, task: Any, known: _Task, events: list[Event]) -> None:
        """Add the events that the content of the result tells of."""
        kind, guarded, touches = known.kind, None, known.touches
        if known.guards:
            kind, guarded = _wrapped(data, task)
            touches = kind in _COMMANDS or kind in _READERS

        def options() -> Mapping:
            return task.args if guarded is None else guarded

        if details["changed"] and not known.predicts:
            for modification in file_modifications(data, options, kind, self._sensitive, self._name):
                modification.update(_context(details))
                events.append(("FILE_MODIFICATION", modification))
                if "sensitive" in modification:
                    access = self._access(details, "path", "WRITE")
                    access["path"] = modification["path"]
                    events.append(("SENSITIVE_ACCESS", access))
            if self._diff and data.get("diff") and not any("sensitive" in more for _type, more in events[1:]):
                details["diff"] = self._redactor.value(data["diff"])
        if touches:
            events.extend(self._touched(details, options(), kind))
        if known.own:
            self._own(details, data, known, events)

    def _own(self, details: dict, data: Mapping, known: _Task, events: list[Event]) -> None:
        """Add the events that the result of an action of ours carries, and count what guards decided."""
        for event_type, carried in custom_events(data, _context(details), self._redactor):
            events.append((event_type, carried))
            if known.guards and event_type == GUARD_DECISION:
                self.tally.decide(carried.get("decision"), carried.get("wait_ms"))

    def _touched(self, details: dict, given: Mapping, kind: str) -> Iterator[Event]:
        """Yield the access to a sensitive path by a command or a module that reads."""
        if kind in _COMMANDS:
            path, how = self._sensitive.mentioned(command_text(given)), "EXECUTE"
        else:
            paths = (given[key] for key in _READERS[kind] if isinstance(given.get(key), str))
            path, how = next((path for path in paths if path in self._sensitive), None), "READ"
        if path:
            access = self._access(details, "path", how)
            access["path"] = cut(self._name(path), _TEXT)
            yield "SENSITIVE_ACCESS", access

    def _access(self, details: dict, reason: str, access: str) -> dict:
        return {"reason": reason, "access": access, **_context(details)}

    def _note_become(self, host: Any, known: _Task, details: dict, events: list[Event]) -> None:
        """Add that a play became another user on a host, once per play and host."""
        name = host.name
        become = known.become
        if name not in self._looked:
            self._looked.add(name)
            if become is None:  # it may also be a variable of the host, which no task shows
                variables = host.get_vars() if hasattr(host, "get_vars") else {}
                if str(variables.get("ansible_become", "")).lower() in ("true", "yes", "1", "on"):
                    become = {"become_user": self._name(variables.get("ansible_become_user", "root"))}
        if become is not None and name not in self._became:
            self._became.add(name)
            events.append(("SENSITIVE_ACCESS", {**self._access(details, "become", "EXECUTE"), **become}))

    def _remember(self, task: Any) -> _Task:
        action = str(plain(getattr(task, "resolved_action", None) or task.action))
        constant = {
            "task": cut(self._name(task.get_name()), _TEXT),
            "task_id": self._name(task._uuid),
            "module": action,
            "play": self.plays,
        }
        path = task.get_path()
        if path:
            constant["task_path"] = cut(self._name(path), _TEXT)
        if type(task).__name__ == "Handler":
            constant["handler"] = True
        role = getattr(task, "_role", None)
        if role is not None:
            constant["role"] = self._name(role.get_name())
            if self._role_seen is not None:
                self._role_seen(role)
        if getattr(task, "run_once", None) is True:
            constant["run_once"] = True
        label = module_label(action)
        known = _Task(constant, label)
        # A template is only known to be false in the worker; until then the task counts as secret.
        known.hidden = bool(task.no_log)
        known.loop = bool(task.loop)
        known.delegates = bool(task.delegate_to)
        known.own = action.startswith("scripts.toolkit.")
        known.guards = label == "scripts.toolkit.guarded_task"
        known.predicts = getattr(task, "check_mode", None) is True
        known.touches = label in _COMMANDS or label in _READERS
        known.includes = label == "ansible.builtin.include_vars"
        known.special = known.own or known.touches
        known.silent = label in _SILENT and self._detail in ("none", "summary")
        if known.predicts:
            constant["check"] = True
        if getattr(task, "become", None) is True:
            method = self._name(getattr(task, "become_method", None) or "sudo")
            known.become = {"become_user": self._name(task.become_user or "root"), "become_method": method}
        if len(self._tasks) >= _CACHE:
            self._tasks.clear()
        self._tasks[task._uuid] = known
        return known

    def _groups_of(self, host: Any) -> tuple[str, ...]:
        found = self._groups.get(host.name)
        if found is None:
            names = {str(plain(group.name)) for group in host.get_groups()}
            self._groups[host.name] = found = tuple(sorted(names & self._wanted_groups))
        return found

    def _name(self, value: object) -> str:
        return self._redactor.known(str(plain(value)))


def _context(details: Mapping) -> dict:
    """Return what connects another event with its task result."""
    keys = ("host", "task", "task_id", "module", "play", "item", "delegated_to")
    return {key: details[key] for key in keys if key in details}


def _wrapped(data: Mapping, task: Any) -> tuple[str, Mapping]:
    """Return the module around which guards stand, and its options."""
    guard, args = data.get("guard"), task.args.get("args")
    module = guard.get("module") if isinstance(guard, Mapping) else None
    return module_label(str(plain(module or ""))), args if isinstance(args, Mapping) else {}


def _will_be_rescued(task: Any) -> bool:
    """Return whether the task stands in the main part of a block, at any depth, that has a rescue part."""
    child, parent = task, getattr(task, "_parent", None)
    while parent is not None:
        if getattr(parent, "rescue", None) and any(entry._uuid == child._uuid for entry in parent.block):
            return True
        child, parent = parent, getattr(parent, "_parent", None)
    return False
