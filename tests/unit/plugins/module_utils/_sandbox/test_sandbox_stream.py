# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner keeps no more than it may, kills what says or takes too much, and tells which."""

from __future__ import annotations

import os
import sys
import tracemalloc

from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.stream import run_bounded


def run(*argv: str, stdin: bytes = b"", most: int = 1 << 20, seconds: float = 60, **options):
    return run_bounded(argv, stdin, most, seconds, **options)


def test_both_streams_the_status_and_the_input() -> None:
    done = run("sh", "-c", "cat; echo err >&2; exit 7", stdin=b"in\xff")
    assert (done.rc, done.out, done.err) == (7, b"in\xff", b"err\n")
    assert (done.too_much, done.too_long) == (False, False)


def test_a_signal_is_told_as_by_a_shell() -> None:
    assert run("sh", "-c", "kill -9 $$").rc == 137


def test_input_that_nobody_reads_is_no_failure() -> None:
    assert run("true", stdin=b"x" * (1 << 22)).rc == 0


def test_output_ends_at_its_limit_without_being_held() -> None:
    tracemalloc.start()
    done = run("sh", "-c", "head -c 200000000 /dev/zero; echo done", most=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert done.too_much
    assert len(done.out) == 1000
    assert done.rc == 137
    assert peak < 10_000_000


def test_the_limit_counts_both_streams() -> None:
    done = run("sh", "-c", "echo 12345; echo 12345 >&2", most=12)
    assert not done.too_much
    done = run("sh", "-c", "echo 12345; echo 123456 >&2", most=12)
    assert done.too_much
    assert len(done.out) + len(done.err) == 12


def test_too_long_is_killed_by_the_command_given(tmp_path) -> None:
    program = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
    pid = tmp_path / "pid"
    kill = ["sh", "-c", f"until [ -s {pid} ]; do sleep 0.01; done; kill -TERM $(cat {pid})"]
    done = run(sys.executable, "-c", program, str(pid), seconds=0.1, kill=kill)
    assert done.too_long
    assert done.rc == 143
    assert not os.path.exists(f"/proc/{pid.read_text()}")


def test_it_is_killed_where_that_command_fails() -> None:
    done = run("sleep", "600", seconds=0.1, kill=["false"])
    assert done.too_long
    assert done.rc == 137
