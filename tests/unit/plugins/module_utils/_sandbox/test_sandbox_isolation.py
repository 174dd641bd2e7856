# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The launcher goes on only in a sandbox, and both backends are told the same."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest
from test_sandbox_request import request_of

from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import DependencyError
from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox import bubblewrap, systemd
from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.launcher import launcher, started, word
from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.sandbox import Sandbox
from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.seccomp import allow_program, deny_program
from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.stream import Spoken
from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.system_calls import system_calls
from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.unit import Account
from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.workspace import Workspace

TOKEN = "0123456789abcdef"


def run_command(args, data=None, environ_update=None, cwd=None, **_options):
    environment = {**os.environ, **(environ_update or {})}
    done = subprocess.run(args, input=data, capture_output=True, text=True, check=False, env=environment, cwd=cwd)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def work(tmp_path) -> Workspace:
    return Workspace(str(tmp_path), TOKEN)


def test_outside_of_a_sandbox_the_launcher_refuses(tmp_path) -> None:
    """This process is in none: the command must not run."""
    path = tmp_path / "launcher"
    path.write_bytes(launcher(TOKEN, "/", {}, "none"))
    made = tmp_path / "made"
    done = subprocess.run(["sh", path, "touch", made], capture_output=True, check=False)
    assert done.returncode == 126
    assert not made.exists()
    with pytest.raises(DependencyError, match="The sandbox leaves the command"):
        started(TOKEN, done.stderr, done.returncode)


def test_what_the_command_says_begins_after_the_word() -> None:
    assert started(TOKEN, b"noise\n" + word(TOKEN) + b"own\n", 0) == b"own\n"
    with pytest.raises(DependencyError, match="no such device"):
        started(TOKEN, b"bwrap: no such device\n", 1)
    with pytest.raises(DependencyError, match="exit status 226"):
        started(TOKEN, b"", 226)
    assert started(TOKEN, b"", 137, "runtime") == b""


def test_an_end_that_nobody_told_is_a_failure() -> None:
    """Then the exit status at hand is systemd-run's, here one of those that the command may have."""
    spoken = Spoken(1, b"", word(TOKEN), too_much=False, too_long=False, seconds=1.0)
    sandbox = Sandbox(request_of(expected_rc=[0, 1]), Commands(run_command))
    result = sandbox._told({}, spoken, Account(None, None, None, None), TOKEN)
    assert (result["failed"], result["error"]["kind"]) == (True, "unavailable")
    assert not sandbox._told({}, spoken, Account(1, None, None, None), TOKEN).get("failed")


def test_values_pass_the_shell_as_they_are(tmp_path) -> None:
    values = {"A": "it's\n$HOME `x` \\", "B": "", "IFS": "x", "LONG": "é" * 1000}
    text = launcher(TOKEN, "/", values, "host").decode()
    exports = text[text.index("export PATH") : text.index('exec "$@"')]
    program = "import os, sys; sys.stdout.write('\\0'.join(os.environ.get(name, '?') for name in sys.argv[1:]))"
    path = tmp_path / "exports"
    path.write_text(exports + 'exec "$@"\n', encoding="utf-8")
    done = subprocess.run(["sh", path, sys.executable, "-c", program, *values], capture_output=True, check=True)
    assert done.stdout.decode().split("\0") == list(values.values())


def test_both_backends_get_the_same_grants(work: Workspace, tmp_path) -> None:
    request = request_of(read_paths=["/srv"], write_paths=["/var/log"], network="host")
    properties = systemd.properties(request, work)
    assert ("BindReadOnlyPaths", "/srv") in properties
    assert ("BindPaths", "/var/log") in properties
    assert "PrivateNetwork" not in dict(properties)
    options = list(bubblewrap._options(request, work))
    assert options[options.index("/srv") :][:2] == ["/srv", "/srv"]
    assert "--unshare-net" not in options
    assert "--unshare-net" in bubblewrap._options(request_of(), work)
    assert dict(systemd.properties(request_of(), work))["PrivateNetwork"] == "yes"


def test_no_secret_is_in_what_backends_are_told(work: Workspace) -> None:
    request = request_of(environment={"TOKEN": "hush"}, stdin="hush")
    assert "hush" not in repr(systemd.properties(request, work))
    assert "hush" not in repr(list(bubblewrap._options(request, work)))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def under_filters(programs: list[bytes], code: str) -> str:
    """Run Python code in a child that has loaded the filters, and return what it prints."""

    def load() -> None:
        libc = ctypes.CDLL(None)
        libc.prctl(38, 1, 0, 0, 0)
        for program in programs:
            buffer = ctypes.create_string_buffer(program, len(program))
            loaded = _Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
            assert libc.prctl(22, 2, ctypes.byref(loaded), 0, 0) == 0

    argv = [sys.executable, "-c", code]
    return subprocess.run(argv, capture_output=True, text=True, check=False, preexec_fn=load).stdout.strip()


TRY = """
import ctypes, errno, os, socket, threading
def tried(action):
    try:
        return 'ok' if action() is not None else 'ok'
    except OSError as error:
        return errno.errorcode[error.errno]
"""


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("socket.socket(socket.AF_UNIX)", "ok"),
        ("socket.socketpair()", "ok"),
        ("socket.socket(socket.AF_INET)", "EPERM"),
        ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "EPERM"),
        ("threading.Thread(target=str).start()", "ok"),
        ("os.waitpid(os.fork() or os._exit(0), 0)", "ok"),
        ("os.chroot('/')", "EPERM"),
        ("os.nice(1)", "EPERM"),
        ("os.mkdir('DIR/plain', 0o755)", "ok"),
        ("os.mkdir('DIR/sticky', 0o2755)", "EPERM"),
        ("os.close(os.open('DIR/file', os.O_CREAT | os.O_RDWR, 0o644))", "ok"),
        ("os.open('DIR/setuid', os.O_CREAT | os.O_RDWR, 0o4755)", "EPERM"),
        ("os.chmod('DIR', 0o700)", "ok"),
        ("os.chmod('DIR', 0o4700)", "EPERM"),
    ],
)
def test_the_filters_let_through_what_programs_need(action: str, expected: str, tmp_path) -> None:
    programs = [allow_program(system_calls(Commands(run_command)), ["AF_UNIX"]), deny_program()]
    code = f"{TRY}\nprint(tried(lambda: {action.replace('DIR', str(tmp_path))}))"
    assert under_filters(programs, code) == expected


def test_the_default_profile_is_scored_within_its_promise(work: Workspace) -> None:
    commands = Commands(run_command)
    default = systemd.exposure(systemd.properties(request_of(), work), commands, work)
    os.unlink(work.file("exposure.service"))
    host = systemd.exposure(systemd.properties(request_of(network="host"), work), commands, work)
    assert 0 <= default <= 1.5
    assert host > default
