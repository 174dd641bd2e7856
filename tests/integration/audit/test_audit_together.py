# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Twenty runs at once under one log: a stopped one holds up nobody, and each is in the log once and whole."""

from __future__ import annotations

import os
import signal
from collections import Counter

from audit_lab import wait_for

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.verify import verify

RUNS = 20
TASKS = 5
PLAYBOOK = """
- hosts: h1
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {{msg: started}}
{more}
"""


def test_twenty_at_once_and_one_of_them_stopped(controller):
    more = "    - ansible.builtin.debug: {msg: more}\n" * (TASKS - 1)
    name = controller.playbook(PLAYBOOK.format(more=more))
    stopped = controller.start(name)
    try:
        wait_for(lambda: len(controller.journals()) == 1)
        os.killpg(stopped.pid, signal.SIGSTOP)
        others = [controller.start(name) for _run in range(RUNS - 1)]
        for run in others:
            out, err = run.communicate(timeout=110)
            assert run.returncode == 0, out + err
        assert len(controller.journals()) == 1
        ends = controller.details("EXECUTION_END")
        assert [end["status"] for end in ends] == ["success"] * (RUNS - 1)
    finally:
        os.killpg(stopped.pid, signal.SIGCONT)
    out, err = stopped.communicate(timeout=60)
    assert stopped.returncode == 0, out + err

    assert controller.journals() == []
    assert len(controller.details("EXECUTION_END")) == RUNS
    results = Counter(entry["run_id"] for entry in controller.records() if entry["event_type"] == "TASK_RESULT")
    assert list(results.values()) == [TASKS] * RUNS
    report = verify(str(controller.log))
    assert report.ok, report.findings
