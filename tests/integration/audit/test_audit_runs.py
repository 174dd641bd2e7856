# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The callback in real runs of the ansible-core that runs these tests, on hosts with a local connection."""

from __future__ import annotations

import hashlib
import json
import os
import signal

import pytest
from audit_lab import wait_for

CANARY = "c4n4ry9f8e"


def runs_counted(controller, status):
    """Return how many runs the metrics count with this status."""
    lines = controller.metrics.read_text(encoding="utf-8").splitlines()
    counted = [
        line for line in lines if line.startswith("scripts_toolkit_runs_total{") and f'status="{status}"' in line
    ]
    return sum(float(line.rpartition(" ")[2]) for line in counted)


EVERYTHING = """
- name: Everything
  hosts: all
  gather_facts: false
  vars: {hidden: true, password: CANARY}
  tasks:
    - name: Changed
      ansible.builtin.copy: {content: "{{ inventory_hostname }}", dest: "DIR/{{ inventory_hostname }}", mode: "0600"}
      notify: Handler
    - name: Unchanged
      ansible.builtin.set_fact: {x: 1}
    - name: Loop
      ansible.builtin.assert: {that: [item is defined], quiet: true}
      loop: [one, {name: two, password: CANARY}]
    - name: Skipped
      ansible.builtin.debug:
      when: false
    - name: Hidden
      ansible.builtin.command: echo CANARY
      no_log: true
    - name: Hidden by a template
      ansible.builtin.debug: {msg: CANARY}
      no_log: "{{ hidden }}"
    - name: Hidden in a loop
      ansible.builtin.debug: {msg: "{{ item }}"}
      loop: [CANARY]
      no_log: true
    - name: Ignored
      ansible.builtin.fail: {msg: "login failed, password=CANARY"}
      ignore_errors: true
    - name: Shown
      ansible.builtin.debug: {msg: "{{ password }}"}
    - name: Block
      block:
        - name: Rescued
          ansible.builtin.fail: {msg: no}
      rescue:
        - name: Run id
          ansible.builtin.debug: {msg: "it is {{ lookup('env', 'SCRIPTS_TOOLKIT_RUN_ID') }}"}
    - name: Once, elsewhere
      ansible.builtin.debug:
      delegate_to: h2
      run_once: true
    - name: Fails
      ansible.builtin.fail: {msg: "the end ☃"}
      when: inventory_hostname == 'h2'
  handlers:
    - name: Handler
      ansible.builtin.debug:
"""


@pytest.mark.parametrize("strategy", ["linear", "free"])
def test_every_result_is_recorded_and_no_secret(controller, strategy):
    controller.configure(f"strategy = {strategy}")
    (controller.directory / "vars.yml").write_text(f"filed: {CANARY}\n", encoding="utf-8")
    text = EVERYTHING.replace("CANARY", CANARY).replace("DIR", str(controller.directory))
    if strategy == "free":
        text = text.replace("      run_once: true\n", "")
    arguments = ["-e", f"secret={CANARY}", "-e", f'{{"j": "{CANARY}"}}', "-e", "@vars.yml", "--limit", "h1,h2"]
    out, err = controller.run(controller.playbook(text), *arguments, rc=2)
    records = controller.records()
    assert [entry["event_type"] for entry in records[:2]] == ["EXECUTION_START", "PLAY_START"]
    assert records[-1]["event_type"] == "EXECUTION_END"
    assert {entry["script"] for entry in records} == {str(controller.directory / "site.yml")}
    assert records[0]["details"]["extra_vars"] == [f"@{controller.directory}/vars.yml", "j", "secret"]
    assert "secret=***" in records[0]["command_line"]
    assert "--limit h1,h2" in records[0]["command_line"]

    seen = {}
    for entry in controller.results():
        if "item" not in entry:
            seen.setdefault(entry["task"], {}).setdefault(entry["host"], []).append(entry["status"])
    assert {task: hosts.get("h1", ["none"])[-1] for task, hosts in seen.items()} == {
        "Changed": "changed",
        "Unchanged": "ok",
        "Loop": "ok",
        "Skipped": "skipped",
        "Hidden": "changed",
        "Hidden by a template": "ok",
        "Hidden in a loop": "ok",
        "Ignored": "ignored",
        "Shown": "ok",
        "Rescued": "rescued",
        "Run id": "ok",
        "Once, elsewhere": "ok",
        "Fails": "skipped",
        "Handler": "ok",
    }
    assert seen["Fails"]["h2"] == ["failed"]
    items = [entry["item"] for entry in controller.results() if entry["task"] == "Loop" and "item" in entry]
    assert sorted(items) == ["one", "one", "two", "two"]
    changed = next(entry for entry in controller.results() if entry["task"] == "Changed")
    assert changed["path"] == str(controller.directory / changed["host"])
    assert changed["module"] == "ansible.builtin.copy"
    assert next(entry for entry in controller.results() if entry["task"] == "Once, elsewhere")["delegated_to"] == "h2"
    assert next(entry for entry in controller.results() if entry["task"] == "Handler")["handler"] is True
    timed = {entry["task"] for entry in controller.results() if entry.get("duration_ms", -1) >= 0}
    assert timed == set(seen)
    end = records[-1]["details"]
    assert end["status"] == "failed"
    assert end["hosts"]["h2"]["failures"] == 1
    assert end["hosts"]["h1"]["rescued"] == 1
    assert f"it is {records[0]['run_id']}" in out

    assert f"Audit trail: {controller.log}/audit.jsonl, run {records[0]['run_id']}; metrics: " in err
    assert runs_counted(controller, "failed") == 1
    assert controller.journals() == []
    written = [*controller.log.rglob("*"), controller.metrics]
    for path in written:
        assert path.is_dir() or CANARY.encode() not in path.read_bytes(), path


def test_detail_full_and_an_unreachable_host(controller):
    controller.configure(detail="full", show_location="false")
    hosts = "gone ansible_host=127.0.0.1 ansible_port=1 ansible_connection=ssh ansible_ssh_retries=0\n"
    controller.inventory.write_text(controller.inventory.read_text(encoding="utf-8") + hosts, encoding="utf-8")
    text = f"""
- hosts: all
  gather_facts: false
  tasks:
    - name: Tells
      ansible.builtin.command: echo password={CANARY} plain-{CANARY[::-1]}
    - name: Hides
      ansible.builtin.command: echo {CANARY}
      no_log: true
"""
    _out, err = controller.run(controller.playbook(text), rc=4)
    assert "Audit trail" not in err
    tells = {entry["host"]: entry for entry in controller.results() if entry["task"] == "Tells"}
    assert tells["h1"]["result"]["stdout"] == f"password=*** plain-{CANARY[::-1]}"
    assert "invocation" not in tells["h1"]["result"]
    assert tells["gone"]["status"] == "unreachable"
    assert controller.records()[-1]["details"]["status"] == "unreachable"
    # The command itself is not a secret to anybody but this test: it stands in `cmd` of the one that is not hidden.
    hidden = [json.dumps(entry) for entry in controller.results() if entry["task"] == "Hides"]
    assert hidden
    assert not any(CANARY in entry for entry in hidden)


def test_a_trail_that_cannot_be_written_warns_or_stops_before_the_first_task(controller):
    text = "- hosts: h1\n  gather_facts: false\n  tasks:\n    - ansible.builtin.ping:\n"
    name = controller.playbook(text)
    (controller.directory / "file").touch()
    controller.configure(log_directory=controller.directory / "file" / "log")
    out, err = controller.run(name)
    assert "The audit trail is incomplete" in err
    assert "This run is not recorded" in err
    assert "ok: [h1]" in out
    controller.configure(log_directory=controller.directory / "file" / "log", on_error="fail")
    out, err = controller.run(name, rc=1)
    assert "The run stops because on_error is fail" in " ".join(err.split())
    assert "[h1]" not in out


SLOW = """
- hosts: h1
  gather_facts: false
  tasks:
    - name: First
      ansible.builtin.ping:
    - name: Slow
      ansible.builtin.command: sh -c 'touch started; while test ! -e stop; do sleep 0.1; done'
      args: {chdir: DIR}
"""


def stopped(controller, number):
    """Send a signal while the slow task runs and return how the run ended, and what it said."""
    process = controller.start(controller.playbook(SLOW.replace("DIR", str(controller.directory))))
    wait_for((controller.directory / "started").exists)
    os.kill(process.pid, number)
    try:
        process.wait(timeout=60)
    finally:
        (controller.directory / "stop").touch()  # for the task, which may live on
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def test_kill_loses_nothing_and_the_next_run_closes_the_record(controller):
    returned, _text = stopped(controller, signal.SIGKILL)
    assert returned == -signal.SIGKILL
    assert len(controller.journals()) == 1
    controller.run(controller.playbook("- hosts: h1\n  gather_facts: false\n", "next.yml"))
    events = [entry["event_type"] for entry in controller.records()]
    assert events[:4] == ["EXECUTION_START", "PLAY_START", "TASK_RESULT", "INTERRUPTED"]
    assert events[4:] == ["EXECUTION_START", "PLAY_START", "EXECUTION_END"]
    assert controller.journals() == []
    assert runs_counted(controller, "interrupted") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_has_an_end(controller, number):
    returned, text = stopped(controller, number)
    assert returned != 0
    assert "Traceback" not in text
    if number == signal.SIGTERM:  # the end is in the journal; the next run takes it over
        assert returned == -signal.SIGTERM
        controller.run(controller.playbook("- hosts: h1\n  gather_facts: false\n", "next.yml"))
    ends = [entry for entry in controller.records() if entry["event_type"] == "EXECUTION_END"]
    assert ends[0]["details"]["status"] == "interrupted"
    assert "INTERRUPTED" not in [entry["event_type"] for entry in controller.records()]


def test_several_playbooks_are_one_run_and_ad_hoc_commands_are_recorded(controller):
    one = controller.playbook("- hosts: h1\n  gather_facts: false\n  tasks: [{ansible.builtin.ping: {}}]\n", "one.yml")
    two = controller.playbook("- hosts: h2\n  gather_facts: false\n  tasks: [{ansible.builtin.ping: {}}]\n", "two.yml")
    controller.run(one, two)
    records = controller.records()
    assert [entry["event_type"] for entry in records] == [
        *("EXECUTION_START", "PLAY_START", "TASK_RESULT", "PLAY_START", "TASK_RESULT", "EXECUTION_END"),
    ]
    assert len({entry["run_id"] for entry in records}) == 1
    assert records[2]["script"].endswith("/one.yml")
    assert records[4]["script"].endswith("/two.yml")
    assert records[-1]["details"]["totals"]["hosts"] == 2
    controller.run(
        *("h1", "-m", "command", "-a", f"echo {CANARY}"), program="ansible", ANSIBLE_LOAD_CALLBACK_PLUGINS="1"
    )
    adhoc = controller.records()[len(records) :]
    assert [entry["event_type"] for entry in adhoc] == [
        *("EXECUTION_START", "PLAY_START", "TASK_RESULT", "EXECUTION_END"),
    ]
    assert {entry["script"] for entry in adhoc} == {"__adhoc_playbook__"}
    assert CANARY not in json.dumps(adhoc)


def test_a_defect_of_ours_never_breaks_the_run(controller, tmp_path):
    """A file where the log should be: the journal is written, its integration fails at the end, the run does not."""
    (controller.log / "audit.jsonl").mkdir(parents=True)
    name = controller.playbook("- hosts: h1\n  gather_facts: false\n  tasks: [{ansible.builtin.ping: {}}]\n")
    out, err = controller.run(name)
    assert "failed=0" in out
    assert "The audit trail is incomplete" in err
    assert len(controller.journals()) == 1


def test_a_large_result_goes_to_a_side_blob(controller):
    controller.configure(detail="full", blob_limit=200000)
    text = """
- hosts: h1
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {msg: "{{ 'large ' * 20000 }}"}
    - ansible.builtin.debug: {msg: "{{ 'huge ' * 80000 }}"}
"""
    controller.run(controller.playbook(text))
    large, huge = controller.results()
    assert large["result_blob"]["bytes"] > 120000
    content = (controller.log / "blobs" / large["result_blob"]["sha256"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == large["result_blob"]["sha256"]
    assert content.count(b"large") == 20000
    assert huge["result_left_out"]["bytes"] > 400000
    assert not {"result", "result_blob"} & set(huge)


def test_a_run_that_goes_on_is_in_the_log_already(controller):
    controller.configure(checkpoint_interval=0.3)
    process = controller.start(
        controller.playbook(
            SLOW.replace("hosts: h1", "hosts: h1,h2").replace(
                "    - name: Slow", "    - name: Pause\n      ansible.builtin.command: sleep 0.5\n    - name: Slow"
            )
        )
    )
    wait_for((controller.directory / "started").exists)
    (run_id,) = {entry["run_id"] for entry in controller.records()}
    assert [entry["event_type"] for entry in controller.records()][:3] == [
        "EXECUTION_START",
        "PLAY_START",
        "TASK_RESULT",
    ]
    assert (controller.log / "checkpoint").exists()
    (controller.directory / "stop").touch()
    process.communicate(timeout=60)
    records = controller.records()
    assert {entry["run_id"] for entry in records} == {run_id}
    assert [entry["event_type"] for entry in records].count("TASK_RESULT") == 6
    assert records[-1]["event_type"] == "EXECUTION_END"
