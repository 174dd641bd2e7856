# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events: what a play, a task result and the end of a run say of themselves, as plain details.

The objects come from ansible-core 2.18 to 2.21 and are only read by attribute, so nothing is imported. What is taken
from a result is listed here name by name; a key that nobody thought of is not recorded, except with ``detail: full``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from .canonical import cut, plain
from .metrics import Tally, module_label
from .redact import Redactor

__all__ = ["DETAILS", "END_HOSTS", "Events", "end_details", "run_status"]

DETAILS = ("none", "summary", "full")

END_HOSTS = 400
"""So many hosts are listed one by one at the end of a run; those without trouble beyond it only count."""

_TEXT = 600
_ITEM = 200
_OUTCOMES = 40
_CACHE = 2048
_DROPPED = frozenset(
    ("invocation", "diff", "diffs", "results", "exception", "stdout_lines", "stderr_lines", "censored")
)
_OUTCOME_KEYS = ("item", "changed", "failed", "state", "operation", "mode", "owner", "group")
_CHECKSUMS = ("checksum", "checksum_before", "checksum_after", "sha256", "sha256_before", "sha256_after")
_ITEM_NAMES = ("name", "path", "dest", "key", "item", "src", "id")


class Events:
    """Makes the details of events and keeps what it must know between them: start times and per-task constants.

    :param detail: ``none`` (status only), ``summary`` or ``full`` (the redacted result).
    """

    def __init__(self, redactor: Redactor, detail: str = "summary") -> None:
        self.tally = Tally()
        self.plays = 0
        self._redactor = redactor
        self._detail = detail
        self._started: dict[tuple[str, str], float] = {}
        self._tasks: dict[str, tuple[dict, str, bool]] = {}

    def play_start(self, play: Any) -> dict:
        """Return the details of a play (a batch of it, with ``serial``)."""
        self.plays += 1
        self._tasks.clear()
        self._started.clear()
        hosts = play.hosts if isinstance(play.hosts, str) else ",".join(str(host) for host in play.hosts or ())
        return {
            "play": self.plays,
            "name": self._name(play.get_name()),
            "hosts": cut(self._name(hosts), _TEXT),
            "strategy": self._name(play.strategy),
            "become": bool(play.become is True),
        }

    def task_started(self, host: Any, task: Any) -> None:
        """Note when a task began on a host."""
        self._started[(host.name, task._uuid)] = time.monotonic()

    def task_result(self, result: Any, status: str, item: bool = False, ignored: bool = False) -> dict:
        """Return the details of a task result, or of the result of one item of a loop.

        :param result: ansible-core's task result.
        :param status: ``ok``, ``failed``, ``skipped`` or ``unreachable``; it is refined here: a change makes
            ``changed``, an ignored failure ``ignored``, one inside a block with a rescue ``rescued``.
        :param ignored: the failure was ignored.
        """
        try:
            host, task = result.host, result.task
        except AttributeError:
            host, task = result._host, result._task
        known = self._tasks.get(task._uuid)
        if known is None:
            known = self._remember(task)
        constant, kind, hidden = known
        changed = bool(result.is_changed())
        if status == "ok":
            status = "changed" if changed else "ok"
        elif status == "failed":
            if ignored:
                status = "ignored"
            elif not item and _will_be_rescued(task):
                status = "rescued"
        details = dict(constant)
        details["host"] = str.__str__(host.name)
        details["status"] = status
        details["changed"] = changed
        milliseconds = self._milliseconds(host.name, task._uuid, item)
        if milliseconds is not None:
            details["duration_ms"] = milliseconds
        if not item:
            self.tally.add(kind, status, milliseconds)
        if hidden:
            details["no_log"] = True
        elif self._detail != "none" and (item or not task.loop):
            # The result of a whole loop holds those of its items, which were recorded one by one; ansible-core 2.19 and
            # newer build it anew for each callback that looks, so nobody looks.
            data = _data(result)
            if "censored" in data or data.get("_ansible_no_log"):
                details["no_log"] = True
            else:
                self._describe(details, data, task, item)
        return details

    def _remember(self, task: Any) -> tuple[dict, str, bool]:
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
        # A template is only known to be false in the worker; until then the task counts as secret.
        hidden = bool(task.no_log)
        if len(self._tasks) >= _CACHE:
            self._tasks.clear()
        self._tasks[task._uuid] = known = (constant, module_label(action), hidden)
        return known

    def _milliseconds(self, host: str, uuid: str, item: bool) -> int | None:
        start = self._started.get((host, uuid)) if item else self._started.pop((host, uuid), None)
        return None if start is None or item else round((time.monotonic() - start) * 1000)

    def _name(self, value: object) -> str:
        return self._redactor.known(str(plain(value)))

    def _describe(self, details: dict, data: Mapping, task: Any, item: bool) -> None:
        if item:
            details["item"] = self._item(data)
        delegated = data.get("_ansible_delegated_vars")
        if delegated:
            name = delegated.get("ansible_delegated_host") or task.delegate_to
            if name:
                details["delegated_to"] = self._name(name)
        if self._detail == "full":
            kept = {key: value for key, value in data.items() if key not in _DROPPED and not key.startswith("_ansible")}
            details["result"] = self._redactor.value(kept)
            return
        status = details["status"]
        message = data.get("skip_reason") if status == "skipped" else data.get("msg")
        # What debug and its like print is the playbook's own output: anything may be in it, and nothing was done.
        if message and isinstance(message, str) and not (details["module"].endswith(".debug") and status == "ok"):
            details["msg"] = self._redactor.short(str.__str__(message), _TEXT)
        for key in ("rc", "attempts"):
            value = data.get(key)
            if isinstance(value, int):
                details[key] = plain(value)
        error = data.get("error")
        if isinstance(error, Mapping) and isinstance(error.get("kind"), str):
            details["error"] = {"kind": str(plain(error["kind"])), "item": self._short(error.get("item"))}
        outcomes = data.get("outcomes")
        if isinstance(outcomes, (list, tuple)) and outcomes:
            details["outcomes"] = self._outcomes(outcomes)
        elif details["changed"]:
            self._file(details, data)

    def _file(self, details: dict, data: Mapping) -> None:
        path = data.get("dest") or data.get("path")
        if isinstance(path, str):
            details["path"] = cut(self._name(path), _TEXT)
            for key in _CHECKSUMS:
                if isinstance(data.get(key), str):
                    details[key] = str(plain(data[key]))

    def _short(self, value: object) -> object:
        if isinstance(value, str):
            return self._redactor.short(str.__str__(value), _ITEM)
        return plain(value) if value is None or isinstance(value, (bool, int, float)) else f"({type(value).__name__})"

    def _item(self, data: Mapping) -> object:
        label = data.get("_ansible_item_label")
        if label is None:
            label = data.get(str(data.get("ansible_loop_var", "item")))
        if isinstance(label, Mapping):  # a whole dict may hold a password: its name is enough
            label = next((label[name] for name in _ITEM_NAMES if isinstance(label.get(name), (str, int))), label)
        return self._short(label)

    def _outcomes(self, outcomes: list) -> dict:
        entries = [entry for entry in outcomes if isinstance(entry, Mapping)]
        told = [entry for entry in entries if entry.get("changed") or entry.get("failed")]
        summary: dict[str, object] = {
            "total": len(outcomes),
            "changed": sum(1 for entry in entries if entry.get("changed")),
            "failed": sum(1 for entry in entries if entry.get("failed")),
        }
        if told:
            summary["told"] = [self._outcome(entry) for entry in told[:_OUTCOMES]]
        return summary

    def _outcome(self, entry: Mapping) -> dict:
        kept = {key: self._short(entry[key]) for key in _OUTCOME_KEYS if entry.get(key) is not None}
        if not entry.get("sensitive"):  # a digest of a secret that can be guessed tells it
            kept.update((key, self._short(entry[key])) for key in _CHECKSUMS if entry.get(key) is not None)
        error = entry.get("error")
        if isinstance(error, Mapping):
            kept["error"] = self._short(error.get("kind"))
        return kept


def _data(result: Any) -> Mapping:
    try:
        return result.result
    except AttributeError:
        return result._result


def _will_be_rescued(task: Any) -> bool:
    """Return whether the task stands in the main part of a block, at any depth, that has a rescue part."""
    child, parent = task, getattr(task, "_parent", None)
    while parent is not None:
        if getattr(parent, "rescue", None) and any(entry._uuid == child._uuid for entry in parent.block):
            return True
        child, parent = parent, getattr(parent, "_parent", None)
    return False


def _without_zeros(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def run_status(hosts: Mapping[str, Mapping[str, int]]) -> str:
    """Return ``failed``, ``unreachable`` or ``success`` from the statistics of all hosts."""
    if any(counts.get("failures") for counts in hosts.values()):
        return "failed"
    if any(counts.get("unreachable") for counts in hosts.values()):
        return "unreachable"
    return "success"


def end_details(status: str, milliseconds: int, hosts: Mapping[str, Mapping[str, int]], tally: Tally) -> dict:
    """Return the details of the end of a run.

    :param hosts: ``{host: {ok, changed, failures, unreachable, skipped, rescued, ignored}}``.
    """
    totals: dict[str, int] = {"hosts": len(hosts), "changed": 0, "failed": 0, "unreachable": 0}
    for counts in hosts.values():
        totals["changed"] += counts.get("changed", 0)
        totals["failed"] += counts.get("failures", 0)
        totals["unreachable"] += 1 if counts.get("unreachable") else 0
    order = sorted(hosts, key=lambda host: (not (hosts[host].get("failures") or hosts[host].get("unreachable")), host))
    told = {str(plain(host)): _without_zeros(hosts[host]) for host in order[:END_HOSTS]}
    details = {"status": status, "duration_ms": milliseconds, "totals": totals, "hosts": told, **tally.details()}
    if len(hosts) > END_HOSTS:
        details["hosts_left_out"] = len(hosts) - END_HOSTS
    return details
