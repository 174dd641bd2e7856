# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every way to start a run, and every way a play can go, is recorded the same."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter

import pytest
from audit_lab import ARGUMENTS, COLLECTIONS, Controller

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: One
      ansible.builtin.set_fact: {x: 1}
    - name: Two
      ansible.builtin.assert: {that: [x == 1], quiet: true}
"""
WHOLE = ["EXECUTION_START", "PLAY_START", *["TASK_RESULT"] * 4, "EXECUTION_END"]


def events(controller):
    """Return the types of the last run's events."""
    return [entry["event_type"] for entry in controller.last_run()]


def statuses(controller):
    """Return how often each task of the last run ended how; items of loops are left out."""
    results = [entry["details"] for entry in controller.last_run() if entry["event_type"] == "TASK_RESULT"]
    results = [entry for entry in results if not entry["module"].endswith(".meta")]
    return Counter((entry["task"], entry["status"]) for entry in results if "item" not in entry)


def test_ansible_runner(controller, tmp_path):
    project = tmp_path / "private" / "project"
    project.mkdir(parents=True)
    (project / "site.yml").write_text(PLAY, encoding="utf-8")
    shutil.copy(controller.directory / "ansible.cfg", project / "ansible.cfg")
    job = {"JOB_ID": "4711"}
    controller.run(
        *("run", str(tmp_path / "private"), "-p", "site.yml", "--inventory", str(controller.inventory)),
        program="ansible-runner",
        **job,
    )
    assert events(controller) == WHOLE
    start = controller.last_run()[0]
    assert start["script"] == str(project / "site.yml")
    assert start["details"]["invoked_by"]["job_id"] == "4711"


def test_ansible_pull(controller, tmp_path):
    origin = tmp_path / "origin"
    origin.mkdir()
    shutil.copy(controller.directory / "ansible.cfg", origin / "ansible.cfg")
    (origin / "site.yml").write_text(PLAY.replace("all", "localhost"), encoding="utf-8")
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.com", "-C", str(origin)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "First"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    arguments = ["-U", str(origin), "-d", str(tmp_path / "checkout"), "-i", "localhost,", "-C", "main", "site.yml"]
    arguments += ["-e", f"ansible_python_interpreter={sys.executable}"]
    controller.run(*arguments, program="ansible-pull", ANSIBLE_CONFIG=str(controller.directory / "ansible.cfg"))
    start = controller.last_run()[0]["details"]
    assert start["git"] == {"commit": commit, "branch": "main", "dirty": False}
    assert statuses(controller) == {("One", "ok"): 1, ("Two", "ok"): 1}
    assert events(controller)[-1] == "EXECUTION_END"


@pytest.mark.parametrize(("strategy", "forks"), [("linear", 1), ("free", 1), ("linear", 50), ("free", 50)])
def test_strategies_and_forks(tmp_path, strategy, forks):
    controller = Controller(tmp_path, COLLECTIONS, hosts=[f"h{number}" for number in range(30 if forks > 1 else 4)])
    controller.configure(f"strategy = {strategy}\nforks = {forks}")
    controller.run(controller.playbook(PLAY))
    hosts = 30 if forks > 1 else 4
    assert statuses(controller) == {("One", "ok"): hosts, ("Two", "ok"): hosts}
    assert controller.last_run()[0]["details"]["forks"] == forks
    assert controller.last_run()[-1]["details"]["totals"]["hosts"] == hosts


FLOW = """
- name: Batches
  hosts: all
  gather_facts: false
  serial: 1
  tasks:
    - name: Asynchronous
      ansible.builtin.command: echo done
      async: 20
      poll: 1
      changed_when: false
    - name: Retried
      ansible.builtin.shell: "echo >> DIR/{{ inventory_hostname }}; test $(wc -l < DIR/{{ inventory_hostname }}) = 2"
      register: tried
      until: tried.rc == 0
      changed_when: false
      retries: 3
      delay: 0
    - name: Block
      block:
        - name: Fails
          ansible.builtin.fail: {msg: as told}
      rescue:
        - name: Helps
          ansible.builtin.debug:
      always:
        - name: Always
          ansible.builtin.debug:
    - name: Several
      ansible.builtin.debug: {msg: "{{ item }}"}
      loop: [1, 2]
      changed_when: item == 2
      notify: Handler
    - name: Flush
      ansible.builtin.meta: flush_handlers
    - name: End
      ansible.builtin.meta: end_play
      when: inventory_hostname == 'h2'
    - name: Only the first batch
      ansible.builtin.debug:
  handlers:
    - name: Handler
      ansible.builtin.debug:
"""


def test_the_ways_of_a_play(controller):
    controller.run(controller.playbook(FLOW))
    assert statuses(controller) == {
        ("Asynchronous", "ok"): 2,
        ("Retried", "ok"): 2,
        ("Fails", "rescued"): 2,
        ("Helps", "ok"): 2,
        ("Always", "ok"): 2,
        ("Several", "changed"): 2,
        ("Handler", "ok"): 2,
        ("Only the first batch", "ok"): 1,
    }
    records = controller.last_run()
    assert [entry["event_type"] for entry in records].count("PLAY_START") == 2
    items = [entry["details"]["status"] for entry in records if "item" in entry["details"]]
    assert items == ["ok", "changed"] * 2
    retried = controller.details("TASK_RESULT", task="Retried")
    assert [entry["attempts"] for entry in retried] == [2, 2]
    assert all(entry["handler"] for entry in controller.details("TASK_RESULT", task="Handler"))
    assert records[-1]["details"]["status"] == "success"


FILES = """
- hosts: h1
  gather_facts: false
  tasks:
    - name: Made
      ansible.builtin.file: {path: DIR/files, state: directory, mode: "0700"}
    - name: Copied
      ansible.builtin.copy: {content: one, dest: DIR/files/a, mode: "0600"}
    - name: Line
      ansible.builtin.lineinfile: {path: DIR/files/a, line: "two", create: true, mode: "0600"}
    - name: Tree
      scripts.toolkit.file_tree:
        files:
          - {dest: DIR/files/b, content: "two\\n", mode: "0640"}
          - {dest: DIR/files/secret, content: "three\\n", mode: "0600", sensitive: true}
          - {dest: DIR/files/tls.key, content: "four\\n", mode: "0600"}
    - name: Read
      ansible.builtin.slurp: {src: DIR/files/tls.key}
      when: not ansible_check_mode
    - name: Mentioned
      ansible.builtin.command: cat DIR/files/tls.key
      changed_when: false
    - name: Removed
      ansible.builtin.file: {path: DIR/files/b, state: absent}
"""


def test_files_and_sensitive_paths(controller):
    controller.run(controller.playbook(FILES), "--check")
    assert controller.details("FILE_MODIFICATION") == []
    assert {entry.get("check") for entry in controller.results()} == {True}
    # Only with --diff do newer cores tell that there was nothing before.
    controller.run(controller.playbook(FILES), "--diff")
    found = [
        (entry["path"].rpartition("/")[2], entry["operation"], entry.get("mode", ""))
        for entry in controller.details("FILE_MODIFICATION")
    ]
    assert sorted(found) == [
        ("a", "MODIFY", ""),
        ("a", "MODIFY", "0600"),
        ("b", "CREATE", "0640"),
        ("b", "DELETE", ""),
        ("files", "CREATE", "0700"),
        ("secret", "CREATE", "0600"),
        ("tls.key", "CREATE", "0600"),
    ]
    digests = {
        entry["path"].rpartition("/")[2]: entry["sha256_after"]
        for entry in controller.details("FILE_MODIFICATION")
        if "sha256_after" in entry
    }
    assert digests == {"b": "27dd8ed44a83ff94d557f9fd0412ed5a8cbca69ea04922d88c01184a07300a5a"}
    accesses = [(entry["task"], entry["access"]) for entry in controller.details("SENSITIVE_ACCESS", reason="path")]
    assert accesses == [("Tree", "WRITE"), ("Read", "READ"), ("Mentioned", "EXECUTE")]


def test_events_of_our_own(controller):
    text = """
- hosts: h1
  gather_facts: false
  tasks:
    - scripts.toolkit.audit_event:
        event_type: DEPLOYMENT
        details: {change: CHG-1, token: abcdef}
        require: true
    - scripts.toolkit.audit_event: {event_type: EXECUTION_END}
      ignore_errors: true
"""
    controller.run(controller.playbook(text))
    (details,) = controller.details("DEPLOYMENT")
    assert (details["change"], details["token"]) == ("CHG-1", "***")
    assert details["source"]["host"] == "h1"
    assert events(controller).count("EXECUTION_END") == 1
    name = controller.playbook(text, "alone.yml")
    out, _err = controller.run(
        name, rc=2, ANSIBLE_CALLBACKS_ENABLED="ansible.builtin.tree", HOME=str(controller.directory)
    )
    assert "This run is not recorded" in json.dumps(out)


def test_become_is_told_once_per_play_and_host(controller):
    text = """
- hosts: all
  gather_facts: false
  become: true
  become_method: scripts.toolkit_none
  tasks:
    - ansible.builtin.debug:
    - ansible.builtin.debug:
- hosts: h1
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
    - ansible.builtin.debug:
      no_log: true
"""
    controller.run(controller.playbook(text.replace("scripts.toolkit_none", "sudo")))
    became = controller.details("SENSITIVE_ACCESS", reason="become")
    assert sorted((entry["play"], entry["host"], entry["become_user"]) for entry in became) == [
        (1, "h1", "root"),
        (1, "h2", "root"),
    ]
    hidden = controller.details("SENSITIVE_ACCESS", reason="no_log")
    assert [(entry["host"], entry["access"]) for entry in hidden] == [("h1", "EXECUTE")]


def test_a_host_variable_makes_become_too(controller):
    controller.inventory.write_text(
        f"h1 ansible_become=true ansible_become_user=web {ARGUMENTS.format(tmp=controller.directory)}\n",
        encoding="utf-8",
    )
    controller.run(controller.playbook(PLAY))
    (became,) = controller.details("SENSITIVE_ACCESS", reason="become")
    assert became["become_user"] == "web"
