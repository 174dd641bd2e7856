# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: audit
type: notification
short_description: Records every run as an audit trail and as metrics
version_added: 1.0.0
author:
  - scripts.toolkit contributors (@scripts-toolkit)
description:
  - Records every run in a log of canonical JSON lines and keeps counters of all runs in a Prometheus text file.
  - Each event is in the file before the run goes on, so C(kill -9) loses nothing. Each is safe from power loss at the
    next task, at the end of the run or after O(sync_interval), whichever comes first.
  - Each run writes a journal of its own, C(journal/RUN_ID.jsonl) under O(log_directory). At its end it is appended to
    the log, C(audit.jsonl), by whoever holds the log's lock. No run waits for another.
  - Results of tasks with C(no_log) are recorded by name and status only. See the collection's C(docs/audit-trail.md)
    for the fields, the events and what is never recorded.
  - A playbook finds the id of its run in the environment of the controller, C(SCRIPTS_TOOLKIT_RUN_ID).
requirements:
  - Enable it in C(ansible.cfg) with C(callbacks_enabled = scripts.toolkit.audit); for ad-hoc commands also with
    C(bin_ansible_callbacks = true).
options:
  log_directory:
    description:
      - Where the trail lies. It is made with mode C(0700), its files with C(0600).
      - By default C(/var/log/scripts-toolkit/audit) for root, and C(scripts-toolkit/log/audit) in the XDG state
        directory (C(~/.local/state)) for others.
    type: path
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_LOG_DIRECTORY
    ini:
      - section: callback_scripts_toolkit_audit
        key: log_directory
  metrics_path:
    description:
      - The Prometheus text file, mode C(0644). Debian's exporter reads C(/var/lib/prometheus/node-exporter/*.prom).
      - By default C(/var/lib/scripts-toolkit/metrics/scripts_toolkit.prom) for root, and
        C(scripts-toolkit/metrics/scripts_toolkit.prom) in the XDG state directory for others.
      - V(none) writes no such file; the counters are kept all the same.
    type: str
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_METRICS_PATH
    ini:
      - section: callback_scripts_toolkit_audit
        key: metrics_path
  on_error:
    description:
      - What happens when an event can't be recorded.
      - V(warn) goes on, says so once and again at the end of the run.
      - V(fail) stops the run, before its first task where the trail can't be opened.
    type: str
    choices: [warn, fail]
    default: warn
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_ON_ERROR
    ini:
      - section: callback_scripts_toolkit_audit
        key: on_error
  detail:
    description:
      - How much of a task's result is recorded.
      - V(none) only names and the status.
      - V(summary) also the message, return code, error kind, changed paths with their checksums and what became of each
        item.
      - V(full) the whole result, redacted; never C(invocation) and never diffs.
    type: str
    choices: [none, summary, full]
    default: summary
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_DETAIL
    ini:
      - section: callback_scripts_toolkit_audit
        key: detail
  redact_patterns:
    description:
      - Regular expressions (Python). What they match in a message or result is recorded as C(***), beside the built-in
        rules.
    type: list
    elements: str
    default: []
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_REDACT_PATTERNS
    ini:
      - section: callback_scripts_toolkit_audit
        key: redact_patterns
  sync_interval:
    description:
      - Seconds after which a recorded event is safe from power loss at the latest. V(0) makes it so before the run goes
        on.
    type: float
    default: 0.2
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_SYNC_INTERVAL
    ini:
      - section: callback_scripts_toolkit_audit
        key: sync_interval
  line_limit:
    description:
      - Bytes of the longest line, V(8192) to V(65535). What does not fit is cut from the details, which then say so.
    type: int
    default: 16384
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_LINE_LIMIT
    ini:
      - section: callback_scripts_toolkit_audit
        key: line_limit
  show_location:
    description:
      - Say at the end of the run, on standard error, where its trail and metrics lie.
    type: bool
    default: true
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_SHOW_LOCATION
    ini:
      - section: callback_scripts_toolkit_audit
        key: show_location
"""

EXAMPLES = r"""
# ansible.cfg
# [defaults]
# callbacks_enabled = scripts.toolkit.audit
#
# [callback_scripts_toolkit_audit]
# log_directory = /var/log/scripts-toolkit/audit
# metrics_path = /var/lib/prometheus/node-exporter/scripts_toolkit.prom
"""

import functools
import os
import sys
import threading

from ansible import constants, context
from ansible.parsing.splitter import parse_kv
from ansible.parsing.utils.yaml import from_yaml
from ansible.plugins.callback import CallbackBase

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.run import Run, Settings


def _extra_vars(text):
    """Return the variables of one C(--extra-vars) text (not C(@file)) as ansible-core reads them."""
    if text[:1] in "[{":
        return from_yaml(text)
    return {name: value for name, value in parse_kv(text).items() if name != "_raw_params"}


def _script(source):
    """Return the absolute path of a playbook; an embedding program may begin with another event."""
    name = os.fspath(getattr(source, "_file_name", None) or "(no playbook)")
    return os.path.abspath(name) if os.path.exists(name) else name


def _guarded(method):
    """Keep trouble of the trail away from the run: it is told, and stops the run only where that was asked for."""

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        if self._run is None:
            self._begin(*args)
        run = self._run
        try:
            if run.active or method.__name__ == "v2_playbook_on_stats":
                method(self, *args, **kwargs)
        except Exception as error:  # pylint: disable=broad-exception-caught # whatever it is, it must not break the run
            run.trouble(error)
        if run.must_stop and threading.current_thread() is threading.main_thread():
            run.must_stop = False
            raise SystemExit(1)

    return call


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "scripts.toolkit.audit"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._run = None

    def _begin(self, source=None, *_args):
        self._run = Run(Settings.from_options(self.get_option), self._say, self._display.warning)
        defaults = {
            "forks": constants.DEFAULT_FORKS,
            "connection": constants.DEFAULT_TRANSPORT,
            "timeout": constants.DEFAULT_TIMEOUT,
            "remote_user": constants.DEFAULT_REMOTE_USER,
            "private_key_file": constants.DEFAULT_PRIVATE_KEY_FILE,
            "become_method": constants.DEFAULT_BECOME_METHOD,
            "diff": constants.DIFF_ALWAYS,
            "tags": tuple(constants.TAGS_RUN) or ("all",),
            "module_name": constants.DEFAULT_MODULE_NAME,
            "poll_interval": constants.DEFAULT_POLL_INTERVAL,
            "task_timeout": constants.TASK_TIMEOUT,
            "seconds": 0,
        }
        self._run.begin(_script(source), sys.argv[0], context.CLIARGS, _extra_vars, defaults)

    def _say(self, text):
        self._display.display(text, stderr=True)

    @_guarded
    def v2_playbook_on_start(self, playbook):
        self._run.next_script(_script(playbook))

    @_guarded
    def v2_playbook_on_play_start(self, play):
        self._run.play_start(play)

    @_guarded
    def v2_playbook_on_task_start(self, *_args, **_kwargs):
        self._run.task_boundary()

    @_guarded
    def v2_playbook_on_handler_task_start(self, *_args):
        self._run.task_boundary()

    @_guarded
    def v2_runner_on_start(self, host, task):
        self._run.task_started(host, task)

    @_guarded
    def v2_runner_on_ok(self, result):
        self._run.task_result(result, "ok")

    @_guarded
    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._run.task_result(result, "failed", ignored=bool(ignore_errors))

    @_guarded
    def v2_runner_on_unreachable(self, result):
        self._run.task_result(result, "unreachable")

    @_guarded
    def v2_runner_on_skipped(self, result):
        self._run.task_result(result, "skipped")

    @_guarded
    def v2_runner_item_on_ok(self, result):
        self._run.task_result(result, "ok", item=True)

    @_guarded
    def v2_runner_item_on_failed(self, result):
        self._run.task_result(result, "failed", item=True)

    @_guarded
    def v2_runner_item_on_skipped(self, result):
        self._run.task_result(result, "skipped", item=True)

    @_guarded
    def v2_playbook_on_stats(self, stats):
        self._run.stats({host: stats.summarize(host) for host in stats.processed})
