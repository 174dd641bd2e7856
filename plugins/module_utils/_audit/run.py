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
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .._core.errors import ToolkitError
from .._core.paths import base_directory
from .command_line import extra_var_names, rebuild
from .events import Events, end_details, run_status
from .integrator import LOG_NAME, integrate
from .journal import JournalSink
from .metrics import MetricsSink
from .recorder import MAX_LINE, Identity, Recorder
from .redact import Redactor

__all__ = ["RUN_ID_VARIABLE", "Run", "Settings"]

RUN_ID_VARIABLE = "SCRIPTS_TOOLKIT_RUN_ID"
"""The environment variable by which a playbook, and a run started by it, knows the run."""

_INVOKERS = ("SUDO_USER", "SUDO_UID", "AWX_JOB_ID", "JOB_ID", "TOWER_JOB_ID")


@dataclass(frozen=True)
class Settings:
    """The options of the callback; see its documentation."""

    log_directory: str
    metrics_path: str | None
    on_error: str = "warn"
    detail: str = "summary"
    redact_patterns: tuple[str, ...] = ()
    sync_interval: float = 0.2
    line_limit: int = 16384
    show_location: bool = True

    @classmethod
    def from_options(cls, get: Callable[[str], Any]) -> Settings:
        """Return the settings from ``get(name)``, with the defaults that depend on the user."""
        metrics = get("metrics_path") or os.path.join(base_directory("state"), "metrics", "scripts_toolkit.prom")
        return cls(
            log_directory=os.path.abspath(get("log_directory") or os.path.join(base_directory("log"), "audit")),
            metrics_path=None if metrics == "none" else os.path.abspath(os.path.expanduser(metrics)),
            on_error=get("on_error"),
            detail=get("detail"),
            redact_patterns=tuple(get("redact_patterns") or ()),
            sync_interval=float(get("sync_interval")),
            line_limit=int(get("line_limit")),
            show_location=bool(get("show_location")),
        )


class Run:
    """One run of ansible-core under record.

    :param say: shows a line to the user.
    :param warn: shows a warning to the user.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None], warn: Callable[[str], None]) -> None:
        self.settings = settings
        self.must_stop = False
        self._say = say
        self._warn = warn
        self._pid = os.getpid()
        self._events: Events | None = None
        self._recorder: Recorder | None = None
        self._start = time.monotonic()
        self._hosts: dict[str, dict[str, int]] = {}
        self._playbooks_left = 1
        self._sync_at_tasks = True
        self._ended = False
        self._told: set[str] = set()
        self._previous_handler: Any = None

    @property
    def active(self) -> bool:
        """False after the end, where the trail could not be opened, and in forked workers."""
        return self._recorder is not None and not self._ended and os.getpid() == self._pid

    def begin(
        self,
        script: str,
        program: str,
        options: Mapping[str, Any],
        parse: Callable[[str], Mapping | None],
        defaults: Mapping[str, Any],
    ) -> None:
        """Open the journal and record the start.

        :param options: ansible-core's parsed command line; ``parse`` and ``defaults`` as in ``command_line.rebuild``.
        """
        try:
            self._events = Events(Redactor(self.settings.redact_patterns), self.settings.detail)
            identity = Identity.of_this_process(rebuild(program, options, parse, defaults))
            self._playbooks_left = max(len(options.get("args") or ()), 1) if "listtasks" in options else 1
            journal = JournalSink(self.settings.log_directory, identity.run_id, self.settings.sync_interval)
            recorder = Recorder(identity, script, [journal], self.settings.line_limit)
            recorder.record("EXECUTION_START", self._start_details(options, parse))
            self._recorder = recorder
        except Exception as error:  # pylint: disable=broad-exception-caught # a trail that can't begin must not break the run
            self.trouble(error)
            return
        os.environ[RUN_ID_VARIABLE] = identity.run_id
        atexit.register(self._at_exit)
        self._watch_for_termination()

    def _start_details(self, options: Mapping[str, Any], parse: Callable[[str], Mapping | None]) -> dict:
        details: dict[str, Any] = {
            "check": bool(options.get("check")),
            "diff": bool(options.get("diff")),
            "limit": options.get("subset"),
            "tags": list(options.get("tags") or ()),
            "skip_tags": list(options.get("skip_tags") or ()),
            "playbooks": list(options.get("args") or ()) if "listtasks" in options else [],
            "extra_vars": extra_var_names(options.get("extra_vars") or (), parse),
            "detail": self.settings.detail,
            "python": ".".join(str(part) for part in sys.version_info[:3]),
            "ansible_core": str(getattr(sys.modules.get("ansible.release"), "__version__", "")),
        }
        invoked = {name.lower(): os.environ[name] for name in _INVOKERS if os.environ.get(name)}
        if invoked:
            details["invoked_by"] = invoked
        if os.environ.get(RUN_ID_VARIABLE):
            details["parent_run_id"] = os.environ[RUN_ID_VARIABLE]
        return details

    def next_script(self, script: str) -> None:
        """Another playbook of the same command line begins."""
        self._recorder.set_script(script)

    def play_start(self, play: Any) -> None:
        """Record the start of a play."""
        # Under strategies like free a task starts for each host by itself: there the interval alone makes durable.
        self._sync_at_tasks = str(play.strategy).rsplit(".", 1)[-1] in ("linear", "debug")
        self._recorder.record("PLAY_START", self._events.play_start(play))

    def task_boundary(self) -> None:
        """A task is about to start: what was recorded becomes durable."""
        if self._sync_at_tasks:
            self._recorder.sync()

    def task_started(self, host: Any, task: Any) -> None:
        """A task starts on a host."""
        self._events.task_started(host, task)

    def task_result(self, result: Any, status: str, item: bool = False, ignored: bool = False) -> None:
        """Record a task result; see ``Events.task_result``."""
        self._recorder.record("TASK_RESULT", self._events.task_result(result, status, item, ignored))

    def stats(self, hosts: Mapping[str, Mapping[str, int]]) -> None:
        """A playbook ended with these statistics, which include those of the playbooks before it."""
        if self._recorder is None:
            self._warn(f"This run is not recorded: there is no audit trail in {self.settings.log_directory}.")
            return
        self._hosts = {host: dict(counts) for host, counts in hosts.items()}
        self._playbooks_left -= 1
        if self._playbooks_left <= 0:
            self._end(run_status(self._hosts))
            self._settle()

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
            self._warn(f"The audit trail is incomplete: {text}.{stop}")

    def _end(self, status: str) -> None:
        """Record the end, once, durably."""
        if not self.active:
            return
        self._ended = True
        milliseconds = round((time.monotonic() - self._start) * 1000)
        details = end_details(status, milliseconds, self._hosts, self._events.tally)
        if self._recorder.lost:
            details["lost_events"] = self._recorder.lost
        self._recorder.record("EXECUTION_END", details, limit=MAX_LINE)
        self._recorder.sync()

    def _settle(self) -> None:
        """Hand the journal over, count the run and say where everything lies."""
        metrics = MetricsSink(self.settings.log_directory, self.settings.metrics_path)
        self._recorder.close()
        done = integrate(self.settings.log_directory, lambda end: self._attempt(metrics.fold, end))
        if done:
            self._attempt(metrics.publish)
        if self._recorder.lost:
            self._warn(f"The audit trail is incomplete: {self._recorder.lost} events of this run are lost.")
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

    def _watch_for_termination(self) -> None:
        """Record the end when SIGTERM comes, then let ansible-core handle it; it runs no atexit functions then."""
        try:
            self._previous_handler = signal.signal(signal.SIGTERM, self._on_sigterm)
        except ValueError:  # not in the main thread: an embedding program keeps its own
            self._previous_handler = None

    def _on_sigterm(self, signum: int, frame: Any) -> None:
        if os.getpid() == self._pid:
            self._attempt(self._end, "interrupted")
        previous = self._previous_handler
        if callable(previous):
            previous(signum, frame)
        else:
            signal.signal(signum, signal.SIG_DFL if previous is None else previous)
            os.kill(os.getpid(), signum)
