# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the benchmark of the profile reads from the contenders' output, from sshd's log and from the audit trail."""

from __future__ import annotations

import json

import pytest

from ansible_collections.scripts.toolkit.tests.benchmarks.provision import trail
from ansible_collections.scripts.toolkit.tests.benchmarks.provision.contenders import ansible_changes, pyinfra_changes
from ansible_collections.scripts.toolkit.tests.benchmarks.provision.host import count_sessions

RECAP = """
PLAY RECAP *********************************************************************
one   : ok=57   changed={one}    unreachable={gone}    failed={failed}    skipped=1    rescued=0    ignored=0
two   : ok=57   changed=2    unreachable=0    failed=0    skipped=1    rescued=0    ignored=0

Audit trail: /var/log/audit.jsonl
"""
PYINFRA = """
    Operation            Hosts   Success   Error   No Change
    Packages             1       1         -       -
    \x1b[1mGrand total          28      {changed}         {errors}       {unchanged}\x1b[0m
"""
SSHD = """\
Connection from 10.0.0.1 port 60000 on 10.0.0.2 port 22 rdomain ""
Accepted publickey for root from 10.0.0.1 port 60000 ssh2: ED25519 SHA256:x
Starting session: command for root from 10.0.0.1 port 60000 id 0
Starting session: subsystem 'sftp' for root from 10.0.0.1 port 60000 id 1
Close session: user root from 10.0.0.1 port 60000 id 0
Starting session: command for root from 10.0.0.1 port 60000 id 0
"""


def test_ansible_changes_of_all_hosts_are_added() -> None:
    assert ansible_changes(RECAP.format(one=0, gone=0, failed=0)) == 2
    assert ansible_changes(RECAP.format(one=5, gone=0, failed=0)) == 7


@pytest.mark.parametrize(("gone", "failed"), [(1, 0), (0, 1)])
def test_a_failed_run_of_ansible_is_no_unchanged_one(gone: int, failed: int) -> None:
    with pytest.raises(ValueError, match="failed or was not reached"):
        ansible_changes(RECAP.format(one=0, gone=gone, failed=failed))


def test_output_without_a_recap_is_no_unchanged_run() -> None:
    with pytest.raises(ValueError, match="no recap"):
        ansible_changes("ERROR: the playbook could not be found\n")


def test_pyinfra_changes_stand_in_the_total() -> None:
    assert pyinfra_changes(PYINFRA.format(changed="-", errors="-", unchanged=28)) == 0
    assert pyinfra_changes(PYINFRA.format(changed=3, errors="-", unchanged=25)) == 3


def test_a_failed_run_of_pyinfra_is_no_unchanged_one() -> None:
    with pytest.raises(ValueError, match="2 operations failed"):
        pyinfra_changes(PYINFRA.format(changed="-", errors=2, unchanged=26))
    with pytest.raises(ValueError, match="no table"):
        pyinfra_changes("No hosts remaining!\n")


def test_sshd_sessions_are_commands_and_subsystems() -> None:
    assert count_sessions(SSHD) == {"connections": 1, "calls": 3}
    assert count_sessions("") == {"connections": 0, "calls": 0}


def entry(run: str, second: float, event: str, **details: object) -> dict:
    """Return an entry of a trail."""
    return {
        "run_id": run,
        "timestamp": f"2026-01-02T03:04:{second:06.3f}Z",
        "event_type": event,
        "details": details,
    }


BEGAN = 1767323040.0
"""2026-01-02T03:04:00Z"""
RUN = [
    entry("b", 0.5, "EXECUTION_START"),
    entry("b", 0.6, "PLAY_START"),
    entry("b", 0.7, "TASK_RESULT", task="Plan", module="ansible.builtin.set_fact", status="ok"),
    entry("b", 1.7, "TASK_RESULT", task="Facts", module="ansible.builtin.raw", status="ok"),
    entry("b", 1.8, "TASK_RESULT", task="ACME", module="scripts.toolkit.acme_certificate", status="skipped"),
    entry("b", 2.3, "TASK_RESULT", task="Packages", module="scripts.toolkit.packages", status="ok"),
    entry("b", 4.3, "TASK_RESULT", task="Prove", module="scripts.toolkit.site_check", status="ok"),
    entry("b", 4.4, "TASK_RESULT", task="Sum up", module="ansible.builtin.set_fact", status="ok"),
    entry("b", 4.5, "EXECUTION_END"),
]


def test_all_the_time_of_a_run_belongs_to_a_part() -> None:
    found = trail.parts(RUN, BEGAN, 5.0)
    assert {part: (round(seconds, 3), tasks) for part, (seconds, tasks) in found.items()} == {
        trail.START: (0.6, 0),
        trail.PLAN: (0.3, 3),
        "Facts (ansible.builtin.raw, remote)": (1.0, 1),
        "Packages (packages, remote)": (0.5, 1),
        "Prove (site_check, controller)": (2.0, 1),
        trail.END: (0.6, 0),
    }
    assert sum(seconds for seconds, _tasks in found.values()) == pytest.approx(5.0)


def test_only_the_last_run_of_a_trail_is_read() -> None:
    lines = [json.dumps(one) for one in [entry("a", 0.0, "EXECUTION_START"), entry("a", 9.0, "EXECUTION_END"), *RUN]]
    assert trail.entries_of_last_run(lines) == RUN
    assert trail.entries_of_last_run([]) == []


def test_parts_of_several_runs_are_given_by_their_medians() -> None:
    runs = [{"a": (1.0, 2), "b": (5.0, 1)}, {"a": (3.0, 2), "b": (4.0, 1)}, {"a": (2.0, 2), "b": (9.0, 1)}]
    assert trail.median_parts(runs) == [("a", 2.0, 2), ("b", 5.0, 1)]
