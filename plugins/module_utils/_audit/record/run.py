# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run from its first event to its last: wires events, recorder, journal, integrator and metrics together.

The callback calls it; it imports nothing of ansible-core. All methods are called under ansible-core's callback lock,
from the main thread or its results thread, and do nothing in a forked worker.
"""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..._core.errors import ToolkitError
from ..metrics.counters import MetricsSink
from ..store.blobs import write as write_blob
from ..store.integrator import LOG_NAME, integrate, integrate_living
from ..store.journal import JournalSink
from .canonical import encode, plain
from .ending import end_details, run_status
from .events import Events
from .recorder import MAX_LINE, Identity, Recorder
from .redact import Redactor
from .settings import Settings, changes, gap_since_last_run, load_settings, save_settings
from .signals import TerminationWatch, deferred_signals

__all__ = ["RUN_ID_VARIABLE", "Run", "Start", "recording_run_id"]

RUN_ID_VARIABLE = "SCRIPTS_TOOLKIT_RUN_ID"
"""The environment variable by which a playbook, and a run started by it, knows the run."""

_EACH_BY_ITSELF = ("free", "host_pinned")
_COUNTED_AT_ONCE = 1000
_recording: list[str] = []


def recording_run_id() -> str | None:
    """Return the id of the run that this process, or the one that it was forked from, records; else ``None``.

    The environment variable says less: a run inherits it from the run that started it.
    """
    return _recording[-1] if _recording else None


class Start:
    """What the callback knows when a run starts.

    :param script: the playbook.
    :param command_line: see ``command_line.rebuild``.
    :param playbooks: how many the command line names.
    :param details: the details of ``EXECUTION_START``, worked out when they are needed.
    """

    def __init__(self, script: str, command_line: str, playbooks: int, details: Callable[[], dict]) -> None:
        self.script, self.command_line, self.playbooks, self.details = script, command_line, playbooks, details


class Run:
    """One run of ansible-core under record.

    :param say: shows a line to the user.
    :param warn: shows a warning to the user.
    :param deliver: called with the log's directory when there may be something for other machines.
    :param describe_role: gives what the end of the run tells of a role.
    :param included: called with the task and the result of an ``include_vars``.
    """

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        warn: Callable[[str], None],
        deliver: Callable[[str], object] | None = None,
        describe_role: Callable[[Any], dict] | None = None,
        included: Callable[[Any, Mapping], object] | None = None,
    ) -> None:
        self.settings = settings
        self.must_stop = False
        self.redactor = Redactor()
        self._say = say
        self._warn = warn
        self._deliver = deliver
        self._describe_role = describe_role
        self._included = included
        self._pid = os.getpid()
        self._events: Events | None = None
        self._recorder: Recorder | None = None
        self._start = self._integrated = time.monotonic()
        self._hosts: dict[str, dict[str, int]] = {}
        self._roles: dict[str, dict] = {}
        self._playbooks_left = 1
        self._script = ""
        self._sync_at_tasks = True
        self._ended = False
        self._told: set[str] = set()

    @property
    def active(self) -> bool:
        """False after the end, where the trail could not be opened, and in forked workers."""
        return self._recorder is not None and not self._ended and os.getpid() == self._pid

    def begin(self, start: Start) -> None:
        """Open the journal and record the start."""
        settings = self.settings
        try:
            settings.check()
            self.redactor = Redactor(settings.redact_patterns)
            self._events = Events(
                self.redactor,
                settings.detail,
                settings.sensitive_paths,
                settings.diff,
                settings.metrics_groups,
                self._role_seen,
                self._included,
            )
            identity = Identity.of_this_process(start.command_line)
            self._playbooks_left, self._script = max(start.playbooks, 1), start.script
            journal = JournalSink(settings.log_directory, identity.run_id, settings.sync_interval)
            recorder = Recorder(identity, start.script, journal, settings.line_limit, self.redactor, self._move_to_blob)
            details = start.details()
            if os.environ.get(RUN_ID_VARIABLE):
                details["parent_run_id"] = os.environ[RUN_ID_VARIABLE]
            recorder.record("EXECUTION_START", {**details, "detail": settings.detail}, limit=MAX_LINE)
            self._recorder = recorder
        except Exception as error:  # pylint: disable=broad-exception-caught # a trail that can't begin must not break the run
            self.trouble(error)
            self._attempt(gap_since_last_run, settings.state_directory, settings.log_directory, False)
            return
        os.environ[RUN_ID_VARIABLE] = identity.run_id
        _recording[:] = [identity.run_id]
        atexit.register(self._at_exit)
        TerminationWatch(lambda: self._attempt(self._end, "interrupted"))
        self._attempt(self._compare_settings)

    def _compare_settings(self) -> None:
        """Record what is different from the last run: its settings, and runs in between that are not in this trail."""
        settings = self.settings
        before, now = load_settings(settings.log_directory), settings.shown()
        changed = changes(before, now) if before is not None else {}
        if changed:
            self._recorder.record("CONFIG_CHANGE", {"reason": "settings", "changes": changed})
        gap = gap_since_last_run(settings.state_directory, settings.log_directory)
        if gap:
            self._recorder.record("CONFIG_CHANGE", {"reason": "gap", **gap})
        if changed or before is None:
            save_settings(settings.log_directory, now)

    def next_script(self, script: str) -> None:
        """Another playbook of the same command line begins."""
        if script != self._script:
            self._script = script
            self._recorder.set_script(script)

    def learn(self, secrets: Iterable[str]) -> None:
        """Replace these texts from now on, wherever they turn up."""
        for secret in secrets:
            self.redactor.learn(secret)
        if self._recorder is not None:
            self._recorder.set_script(self._script)

    def play_start(self, play: Any, more: Callable[[], dict]) -> None:
        """Record the start of a play.

        :param more: gives more details.
        """
        # Under strategies like free a task starts for each host by itself: there the interval alone makes durable.
        self._sync_at_tasks = str(play.strategy).rsplit(".", 1)[-1] not in _EACH_BY_ITSELF
        self._recorder.record("PLAY_START", {**self._events.play_start(play), **more()})

    def task_boundary(self) -> None:
        """A task is about to start (called in the main thread): what was recorded becomes durable; every
        ``checkpoint_interval`` it also becomes part of the log."""
        if self._sync_at_tasks:
            self._recorder.sync()
        if len(self._events.tally.waiting) >= _COUNTED_AT_ONCE:
            self._events.tally.count()
        if time.monotonic() - self._integrated >= self.settings.checkpoint_interval > 0:
            self._integrated = time.monotonic()
            self._recorder.sync()
            with deferred_signals():
                integrate_living(self.settings.log_directory, self._recorder.identity.run_id)
            if self._deliver is not None:
                self._deliver(self.settings.log_directory)

    def task_started(self, host: Any, task: Any) -> None:
        """A task starts on a host."""
        if self._events is not None:
            self._events.started[(host.name, task._uuid)] = time.monotonic()

    def task_result(self, result: Any, status: str, item: bool = False, ignored: bool = False) -> None:
        """Record a task result and what follows from it; see ``Events.task_result``. Trouble is told, never raised."""
        if self._recorder is None or self._ended or os.getpid() != self._pid:
            return
        try:
            self._recorder.record_all(self._events.task_result(result, status, item, ignored))
        except Exception as error:  # pylint: disable=broad-exception-caught # whatever it is, it must not break the run
            self.trouble(error)

    def stats(self, hosts: Mapping[str, Mapping[str, int]]) -> None:
        """A playbook ended with these statistics, which include those of the playbooks before it."""
        if self._recorder is None:
            self._warn(f"This run is not recorded: there is no audit trail in {self.settings.log_directory}.")
            return
        self._hosts = {host: dict(counts) for host, counts in hosts.items()}
        self._playbooks_left -= 1
        if self._playbooks_left <= 0:
            self._attempt(self._end, run_status(self._hosts))
            self._attempt(self._settle)

    def trouble(self, error: Exception) -> None:
        """Tell the user of an error in the trail, each kind once, and note whether the run must stop."""
        if isinstance(error, OSError):
            text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        elif isinstance(error, ToolkitError):
            text = error.as_result()["msg"]
        else:
            text = f"{type(error).__name__} in the audit callback"
        if self.settings.on_error == "fail" and not self._ended:
            self.must_stop = True
        if text not in self._told:
            self._told.add(text)
            stop = " The run stops because on_error is fail." if self.must_stop else ""
            self._warn(f"The audit trail is incomplete: {self.redactor.text(text)}.{stop}")

    def _role_seen(self, role: Any) -> None:
        name = str(role.get_name())
        if name not in self._roles:
            self._roles[name] = {}
            self._roles[name] = self._describe_role(role) if self._describe_role is not None else {}

    def _move_to_blob(self, details: dict, _room: int) -> dict:
        """Return details that are too large with their largest parts, redacted already, in side blobs; what is larger
        than a blob may be is left out."""
        details = dict(details)
        for key in ("result", "diff"):
            if not isinstance(details.get(key), (dict, list)):
                continue
            data = encode(plain(details.pop(key), self.redactor.known))
            if len(data) > self.settings.blob_limit:
                details[f"{key}_left_out"] = {"bytes": len(data)}
            else:
                details[f"{key}_blob"] = write_blob(self.settings.log_directory, data)
        return details

    def _end(self, status: str) -> None:
        """Record the end, once, durably."""
        if not self.active:
            return
        self._ended = True
        milliseconds = round((time.monotonic() - self._start) * 1000)
        details = end_details(status, milliseconds, self._hosts, self._events.tally)
        if self._roles:
            details["roles"] = self._roles
        if self._recorder.lost:
            details["lost_events"] = self._recorder.lost
        self._recorder.record("EXECUTION_END", details, limit=MAX_LINE)
        self._recorder.sync()

    def _settle(self) -> None:
        """Hand the journal over, count the run and say where everything lies."""
        if self._recorder.lost:
            self._warn(f"The audit trail is incomplete: {self._recorder.lost} events of this run are lost.")
        with deferred_signals():
            metrics = MetricsSink(self.settings.log_directory, self.settings.metrics_path)
            self._recorder.close()
            done = integrate(self.settings.log_directory, lambda end: self._attempt(metrics.fold, end), self._warn)
            if done:
                self._attempt(metrics.publish)
        if self._deliver is not None:
            self._attempt(self._deliver, self.settings.log_directory)
        if self.settings.show_location:
            run_id = self._recorder.identity.run_id
            where = os.path.join(self.settings.log_directory, LOG_NAME)
            if run_id not in done:
                where += " (soon; another run is writing it)"
            shown = f"; metrics: {self.settings.metrics_path}" if self.settings.metrics_path else ""
            self._say(f"Audit trail: {where}, run {run_id}{shown}")

    def _attempt(self, work: Callable, *args: Any) -> None:
        try:
            work(*args)
        except Exception as error:  # pylint: disable=broad-exception-caught # figures must not hold up the log
            self.trouble(error)

    def _at_exit(self) -> None:
        if not self.active:
            return
        # Without statistics of the last playbook the run was stopped: ctrl-C, an error, an earlier playbook's failure.
        status = run_status(self._hosts) if self._hosts else "interrupted"
        if status == "success":
            status = "interrupted"
        self._attempt(self._end, status)
        self._attempt(self._settle)
