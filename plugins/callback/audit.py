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
      - V(digest) a salted SHA-256 of the redacted result.
      - V(summary) also the message, return code, error kind, changed paths with their checksums and what became of each
        item.
      - V(full) the whole result, redacted; never C(invocation), and diffs only with O(diff).
      - C(FILE_MODIFICATION) and C(SENSITIVE_ACCESS) are events of their own, whatever this says.
    type: str
    choices: [none, digest, summary, full]
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
  state_directory:
    description:
      - A directory outside of the trail in which the callback notes which trail each run wrote to, so that a run can
        tell of runs in between that are not in its own.
      - By default C(/var/lib/scripts-toolkit) for root, and C(scripts-toolkit) in the XDG state directory for others.
    type: path
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_STATE_DIRECTORY
    ini:
      - section: callback_scripts_toolkit_audit
        key: state_directory
  diff:
    description:
      - Record the diffs that modules return, redacted. They may hold whole files.
    type: bool
    default: false
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_DIFF
    ini:
      - section: callback_scripts_toolkit_audit
        key: diff
  blob_limit:
    description:
      - Bytes of the largest side blob. A result that does not fit its line goes to a file under C(blobs), a larger
        one is left out and its size told. V(0) writes no blobs.
    type: int
    default: 1048576
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_BLOB_LIMIT
    ini:
      - section: callback_scripts_toolkit_audit
        key: blob_limit
  sensitive_paths:
    description:
      - Paths whose reading, writing and use in a command is recorded as C(SENSITIVE_ACCESS), and of whose contents no
        digest is recorded. C(*) stands for any characters, slashes among them.
    type: list
    elements: str
    default:
      - "/etc/shadow*"
      - "/etc/gshadow*"
      - "/etc/sudoers"
      - "/etc/sudoers.d/*"
      - "/etc/ssh/ssh_host_*_key"
      - "*/.ssh/*"
      - "/etc/ssl/private/*"
      - "*/privkey*.pem"
      - "*.key"
      - "/etc/krb5.keytab"
      - "*/.my.cnf"
      - "/etc/mysql/debian.cnf"
      - "*/.pgpass"
      - "*/.aws/credentials"
      - "*/.kube/config"
      - "/etc/kubernetes/*.conf"
      - "*/.gnupg/*"
      - "*/.vault_pass*"
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_SENSITIVE_PATHS
    ini:
      - section: callback_scripts_toolkit_audit
        key: sensitive_paths
  checkpoint_interval:
    description:
      - Seconds after which a run that goes on hands over what it has recorded to the log, whose head is then signed.
        V(0) does so at its end only.
    type: float
    default: 30
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_CHECKPOINT_INTERVAL
    ini:
      - section: callback_scripts_toolkit_audit
        key: checkpoint_interval
  segment_bytes:
    description:
      - Bytes after which a segment of the log is closed and compressed.
    type: int
    default: 100000000
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_SEGMENT_BYTES
    ini:
      - section: callback_scripts_toolkit_audit
        key: segment_bytes
  segment_age:
    description:
      - Seconds after which a segment of the log is closed even if it is small. V(0) does not look at the age.
    type: int
    default: 0
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_SEGMENT_AGE
    ini:
      - section: callback_scripts_toolkit_audit
        key: segment_age
  witnesses:
    description:
      - Who is told each signed head of the log; see C(docs/audit-trail.md).
      - V(journal) is the systemd journal, V(directory:/path) another directory, such as the mount of another host, and
        V(https://witness.example.com/prefix#NAME+ID+KEY) a witness that speaks C2SP tlog-witness, with its key.
      - Witnesses on other machines are told by a process of their own, which no run waits for.
    type: list
    elements: str
    default: [journal]
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_WITNESSES
    ini:
      - section: callback_scripts_toolkit_audit
        key: witnesses
  metrics_sinks:
    description:
      - URLs of receivers of the metrics beside the text file; see C(docs/audit-trail.md). They begin with
        C(pushgateway+https://), C(otlp+https://) or C(influxdb+https://), or the same with C(http).
      - Credentials stand in files that the query of the URL names, C(token_file), or C(username) with
        C(password_file).
    type: list
    elements: str
    default: []
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_METRICS_SINKS
    ini:
      - section: callback_scripts_toolkit_audit
        key: metrics_sinks
  metrics_groups:
    description:
      - Host groups whose results are counted by themselves.
    type: list
    elements: str
    default: []
    env:
      - name: SCRIPTS_TOOLKIT_AUDIT_METRICS_GROUPS
    ini:
      - section: callback_scripts_toolkit_audit
        key: metrics_groups
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
import threading

from ansible import context
from ansible.plugins.callback import CallbackBase

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.metrics.targets import complaints
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.run import Run
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.settings import Settings
from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit.controller import (
    Secrets,
    play_details,
    role_details,
    start_of,
)
from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit.deliver import start as deliver


def _script(source):
    """Return the absolute path of a playbook; an embedding program may begin with another event."""
    name = os.fspath(getattr(source, "_file_name", None) or "(no playbook)")
    return os.path.abspath(name) if os.path.exists(name) else name


def _guarded(method):
    """Keep trouble of the trail away from the run: it is told, and stops the run only where that was asked for."""
    last = method.__name__ == "v2_playbook_on_stats"

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        run = self._run
        if run is None:
            run = self._begin(*args)
        try:
            if run.active or last:
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
        self._secrets = None
        self._result = self._first_result
        self._started = self._first_started

    def _begin(self, source=None, *_args):
        settings = Settings.from_options(self.get_option)
        self._secrets = secrets = Secrets()
        self._run = run = Run(
            settings, self._say, self._display.warning, deliver, role_details, included=secrets.look_at_included
        )
        secrets.found = run.learn
        run.begin(start_of(source, _script(source), context.CLIARGS))
        for error in complaints(settings.witnesses, settings.metrics_sinks):
            self._display.warning(error.as_result()["msg"])
        self._result, self._started = run.task_result, run.task_started
        return run

    def _first_result(self, result, status, **kwargs):
        self._begin(result)
        self._result(result, status, **kwargs)

    def _first_started(self, host, task):
        self._begin(task)
        self._started(host, task)

    def _say(self, text):
        self._display.display(text, stderr=True)

    @_guarded
    def v2_playbook_on_start(self, playbook):
        self._run.next_script(_script(playbook))
        self._secrets.look_at_playbook(playbook)

    @_guarded
    def v2_playbook_on_play_start(self, play):
        self._secrets.look_at_play(play, context.CLIARGS.get("inventory"))
        self._run.play_start(play, lambda: play_details(play))

    @_guarded
    def v2_playbook_on_task_start(self, *_args, **_kwargs):
        self._secrets.look_again()
        self._run.task_boundary()

    @_guarded
    def v2_playbook_on_handler_task_start(self, *_args):
        self._secrets.look_again()
        self._run.task_boundary()

    # These are called for every result, so there is nothing between them and the run.

    def v2_runner_on_start(self, host, task):
        self._started(host, task)

    def v2_runner_on_ok(self, result):
        self._result(result, "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._result(result, "failed", ignored=bool(ignore_errors))

    def v2_runner_on_unreachable(self, result):
        self._result(result, "unreachable")

    def v2_runner_on_skipped(self, result):
        self._result(result, "skipped")

    def v2_runner_item_on_ok(self, result):
        self._result(result, "ok", item=True)

    def v2_runner_item_on_failed(self, result):
        self._result(result, "failed", item=True)

    def v2_runner_item_on_skipped(self, result):
        self._result(result, "skipped", item=True)

    @_guarded
    def v2_playbook_on_stats(self, stats):
        self._run.stats({host: stats.summarize(host) for host in stats.processed})
