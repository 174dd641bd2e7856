# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command lines that limit commands, run by this machine's shell; with systemd they run on hosts of their own."""

from __future__ import annotations

import subprocess
import types

import pytest

from ansible_collections.scripts.toolkit.plugins.plugin_utils._guard.remote import Limits, limited_command

TOKEN = "scripts-toolkit-guard-test"


def run(command: str, limit: float = 30, stdin: str = "") -> subprocess.CompletedProcess:
    line = limited_command(command, limit, TOKEN)
    return subprocess.run(["/bin/sh", "-c", line], input=stdin, capture_output=True, text=True, check=False)


def test_what_ends_in_time_is_as_without_a_limit() -> None:
    done = run('cat; echo "it\'s $HOME" >&2; exit 3', stdin="text\n")
    assert (done.returncode, done.stdout) == (3, "text\n")
    assert done.stderr.startswith("it's /")
    assert TOKEN not in done.stderr


@pytest.mark.parametrize("rc", [1, 124, 137, 143, 255])
def test_no_exit_status_is_taken_for_a_limit(rc: int) -> None:
    done = run(f"exit {rc}")
    assert (done.returncode, done.stderr) == (rc, "")


@pytest.mark.parametrize(
    "command", ["sleep 600", "trap '' TERM; sleep 600 & wait; sleep 600", "sh -c 'sleep 600' & wait"]
)
def test_what_takes_too_long_is_ended_and_says_so(command: str) -> None:
    done = run(f"echo $$; {command}", 0.3)
    assert done.returncode == 124
    assert done.stderr.splitlines()[-1] in (f"{TOKEN} group", f"{TOKEN} scope")
    listed = subprocess.run(
        ["ps", "-o", "pid=", "-g", done.stdout.strip()], capture_output=True, text=True, check=False
    )
    assert listed.stdout == ""


class Connection:
    """What a connection plugin has, for commands of this machine."""

    def __init__(self, become: object = None) -> None:
        self.become = become
        self.sent: list[str] = []

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        self.sent.append(cmd)
        done = subprocess.run(["/bin/sh", "-c", cmd], input=in_data or b"", capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr


class Become:
    """A way to become another user that can be seen in its command line."""

    def build_become_command(self, cmd: str, shell: object) -> str:
        return f"BECOME=yes {cmd}"


def test_every_command_gets_what_is_left_and_the_note_goes_no_further() -> None:
    left = iter([30.0, 0.2])
    connection = Connection()
    limits = Limits(connection, lambda: next(left))
    with limits.hold():
        assert connection.exec_command("echo one", in_data=None) == (0, b"one\n", b"")
        assert limits.ended is None
        rc, out, err = connection.exec_command("echo two; sleep 600")
        assert (rc, out) == (124, b"two\n")
        assert b"scripts-toolkit-guard" not in err
        ended = limits.ended
        assert ended in ("group", "scope")
        # The action cleans up, for which nothing is left.
        assert connection.exec_command("sleep 0.3; echo clean") == (0, b"clean\n", b"")
        assert limits.ended == ended
    assert connection.exec_command("echo three") == (0, b"three\n", b"")
    assert connection.sent[-1] == "echo three"


def test_the_limit_is_inside_become_and_set_once() -> None:
    become = Become()
    connection = Connection(become)
    with Limits(connection, lambda: 30.0).hold():
        built = become.build_become_command("echo $BECOME", types.SimpleNamespace())
        rc, out, _err = connection.exec_command(built)
        # Not everything an action sends is for the other user.
        assert connection.exec_command("echo as-$BECOME-me")[1] == b"as--me\n"
    assert (rc, out) == (0, b"yes\n")
    assert built.startswith("BECOME=yes /bin/sh -c ")
    assert connection.sent[0].count("timeout -k") == 1
    assert connection.sent[1].count("timeout -k") == 1
    assert "timeout" not in become.build_become_command("echo", None)
