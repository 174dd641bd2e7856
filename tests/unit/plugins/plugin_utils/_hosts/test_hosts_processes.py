# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Control groups, ssh servers and processes of this machine."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading

from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts import process
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.machine import cgroup_mounts, greets

MOUNTINFO = """\
24 30 0:22 / /sys rw,nosuid shared:2 - sysfs sysfs rw
31 24 0:27 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw
32 24 0:28 / /sys/fs/cgroup/systemd rw,nosuid shared:5 - cgroup cgroup rw,xattr,name=systemd
33 24 0:29 / /sys/fs/cgroup/memory rw,nosuid shared:6 - cgroup cgroup rw,memory
"""


def test_control_group_hierarchies():
    assert cgroup_mounts(MOUNTINFO) == ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"]


def test_greets_tells_an_ssh_server_from_others():
    def answer(server, text):
        connection, _peer = server.accept()
        with connection:
            connection.sendall(text)

    for text, expected in ((b"SSH-2.0-x\r\n", True), (b"HTTP/1.1 400\r\n", False), (b"", False)):
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=answer, args=(server, text))
            thread.start()
            assert greets("127.0.0.1", server.getsockname()[1]) is expected
            thread.join()
    assert greets("127.0.0.1", 9) is False


def test_a_process_is_known_beyond_its_number():
    program = "import time; print(flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", program, "marker-of-this-test"], stdout=subprocess.PIPE)
    child.stdout.readline()  # Right after its start its arguments can't be read yet.
    who = process.identity(child.pid)
    assert process.alive(who)
    assert not process.alive([child.pid, "other boot:1"])
    assert (child.pid, "marker-of-this-test") in {(pid, argv[-1]) for pid, argv in process.processes()}
    assert process.end([child.pid, "other boot:1"])
    assert child.poll() is None  # Another process of that number is not touched.
    assert process.end(who)
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    assert process.identity(child.pid) is None


def test_run_command_reports_like_ansible_does():
    assert process.run_command(["sh", "-c", "cat; echo e >&2; exit 3"], data="in") == (3, "in", "e\n")
    assert process.run_command(["/no/such/program"])[0] == 127
