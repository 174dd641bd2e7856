# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time limits end the work on the host: a real one over ssh, with its own systemd, users, and a network to cut."""

from __future__ import annotations

import os
import subprocess
import threading
import time

import pytest
from guard_lab import GuardLab

from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts import Hosts

NAME = "guard"
SUITE = os.environ.get("TOOLKIT_SUITES", "trixie").split()[-1]


@pytest.fixture(scope="module")
def machine():
    """A host with a user who may become root, and one who may not."""
    hosts = Hosts()
    hosts.down([NAME])
    hosts.up([NAME], SUITE)
    machine = Machine(hosts)
    machine.inside("apt-get -q update && apt-get -qy --no-install-recommends install sudo")
    machine.inside("useradd -m -s /bin/bash user1 && useradd -m -s /bin/bash user2")
    machine.inside("echo 'user1 ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/user1")
    machine.inside(
        "install -d -o user1 -m 700 ~user1/.ssh && install -o user1 -m 600 /root/.ssh/authorized_keys ~user1/.ssh"
    )
    yield machine
    hosts.down([NAME])


class Machine:
    """The host, seen past Ansible."""

    def __init__(self, hosts):
        self.hosts = hosts
        self.address = hosts.record(NAME)["address"]
        self.key = hosts.layout.key

    def inside(self, command):
        """Run a shell command on the host, and return what it prints."""
        argv = self.hosts.ssh(NAME, [command])
        return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=True).stdout

    def running(self, mark):
        """Return the command lines of the processes that sleep for ``mark`` seconds."""
        return self.inside(f"pgrep -a -x sleep | grep -F ' {mark}' || true").splitlines()


@pytest.fixture
def lab(tmp_path, machine):
    return GuardLab(tmp_path, machine)


def sleepers(mark):
    """Return a command one of whose processes leaves the session, one goes to the background, and one stays."""
    return f"setsid sleep {mark} & sleep {mark} & sleep {mark}"


def task(command, limit, module="ansible.builtin.shell", more=""):
    return f"""\
    - name: Work
      scripts.toolkit.guarded_task:
        module: {module}
        args: {{cmd: "{command}"}}
        timeout: {limit}
      register: r
      ignore_errors: true
      ignore_unreachable: true
{more}"""


ROOT, GROUP = "scope", "group"
USERS = {
    "root": ("ansible_user=root", ROOT),
    "sudo": ("ansible_user=user1 ansible_become=true", ROOT),
    "other": ("ansible_user=user1 ansible_become=true ansible_become_user=user2", GROUP),
    "user": ("ansible_user=user1", GROUP),
}


@pytest.mark.parametrize("pipelining", ["true", "false"])
def test_nothing_goes_on_on_the_host_whoever_does_the_work(lab, machine, pipelining):
    marks = {name: 600 + number for number, name in enumerate(USERS)}
    with lab.inventory.open("a", encoding="utf-8") as handle:
        for name, (variables, _ended) in USERS.items():
            # A connection each, as for hosts of their own.
            own = f"ansible_ssh_common_args='-o ControlPath={lab.sockets.name}/{name}' mark={marks[name]}"
            handle.write(f"{name} {lab.host} {variables} {own} ansible_remote_tmp=/var/tmp/{name}-{pipelining}\n")
    # As root, also what has left its session is ended. The others leave nobody but themselves to be found.
    command = "{{ 'setsid sleep ' ~ mark ~ ' &' if ended == 'scope' else '' }} sleep {{ mark }} & sleep {{ mark }}"
    ended = "{'root': 'scope', 'sudo': 'scope'}[inventory_hostname] | default('group')"
    text = task(command, 12) + f'      vars: {{ended: "{{{{ {ended} }}}}"}}\n'
    lab.tasks(
        text,
        hosts=":".join(USERS),
        ANSIBLE_PIPELINING=pipelining,
        ANSIBLE_SHELL_ALLOW_WORLD_READABLE_TEMP="true",
    )
    for name, (_variables, ended) in USERS.items():
        r = lab.registered(name)["r"]
        (attempt,) = r["attempts"]
        assert (attempt["outcome"], attempt.get("ended"), r["error"]["kind"]) == ("timeout", ended, "timeout"), name
        assert machine.running(marks[name]) == [], name
    assert machine.inside("systemctl list-units --all --no-legend 'scripts-toolkit-guard-*'") == ""


def test_a_process_group_is_ended_but_not_who_has_left_it(lab, machine):
    """What the documentation says of users without root."""
    r, _more, _said = lab.tasks(task(sleepers(641), 12), "-e", "ansible_user=user1", hosts="host")
    assert r["attempts"][0]["ended"] == "group"
    assert "may go on" in r["error"]["hint"]
    assert len(machine.running(641)) == 1
    machine.inside("pkill -f 'sleep 641'")


def test_what_goes_on_in_the_background_after_a_success_stays(lab, machine):
    r, _more, _said = lab.tasks(task("setsid sleep 642 >/dev/null 2>&1 & echo done", 12), hosts="host")
    assert (r["stdout"], r["failed"]) == ("done", False)
    time.sleep(12.5)
    assert len(machine.running(642)) == 1
    machine.inside("pkill -f 'sleep 642'")


@pytest.mark.parametrize("how", ["drop", "link"])
def test_a_host_that_is_cut_off_ends_the_work_by_itself(lab, machine, how):
    mark = 650 + len(how)

    def cut():
        while not machine.running(mark):
            time.sleep(0.1)
        machine.hosts.cut([NAME], how)

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        r, _more, _said = lab.tasks(task(sleepers(mark), 12), hosts="host")
    finally:
        cutter.join()
        machine.hosts.heal([NAME])
    (attempt,) = r["attempts"]
    assert (attempt["outcome"], attempt["ended"]) == ("timeout", "connection")
    assert attempt["duration_seconds"] >= 12
    assert r["error"]["kind"] == "timeout"
    assert machine.running(mark) == []


def test_a_host_that_comes_back_is_done_on_a_new_connection(lab, machine):
    def blink():
        while not machine.running(661):
            time.sleep(0.1)
        machine.hosts.cut([NAME], "drop")
        time.sleep(16)
        machine.hosts.heal([NAME])

    text = task("test -e /tmp/second && echo back || (touch /tmp/second; sleep 661)", 12)
    retry = "        retry: {attempts: 20, initial_delay: 1, max_delay: 5, jitter: none}\n"
    text = text.replace("      register", f"{retry}      register")
    machine.inside("rm -f /tmp/second")
    blinker = threading.Thread(target=blink)
    blinker.start()
    try:
        r, _more, said = lab.tasks(text, hosts="host")
    finally:
        blinker.join()
    assert r.get("stdout") == "back", said
    assert r["attempts"][0]["outcome"] == "timeout"
    assert r["attempts"][-1]["outcome"] == "ok"


def test_an_unreachable_host_is_tried_again_and_stays_unreachable(lab, machine):
    more = "        retry: {attempts: 2, initial_delay: 0.01}\n"
    text = task("true", 60).replace("        timeout: 60\n", more)
    r, _more, _said = lab.tasks(text, "-e", "ansible_port=1", hosts="host")
    assert r["unreachable"]
    assert [attempt["outcome"] for attempt in r["attempts"]] == ["unreachable", "unreachable"]
    assert r["error"]["kind"] == "unavailable"
    assert lab.decisions() == ["attempt", "wait", "attempt"]
    (result,) = [entry for entry in lab.results() if entry["task"] == "Work"]
    assert result["status"] == "unreachable"


def test_files_are_sent_and_fetched_within_limits_and_delegated(lab, machine, tmp_path):
    (tmp_path / "sent").write_text("over ssh\n")
    text = """\
    - name: Send
      scripts.toolkit.guarded_task:
        module: ansible.builtin.copy
        args: {src: DIR/sent, dest: /tmp/sent, mode: "0600"}
        timeout: 60
      register: r
    - name: Fetch, from elsewhere
      scripts.toolkit.guarded_task:
        module: ansible.builtin.fetch
        args: {src: /tmp/sent, dest: DIR/fetched, flat: true}
        timeout: 60
      delegate_to: host
      register: more
"""
    r, _more, _said = lab.tasks(text, hosts="host")
    assert r["changed"]
    assert (tmp_path / "fetched").read_text() == "over ssh\n"
    assert machine.inside("stat -c %a /tmp/sent") == "600\n"
