# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``toolkit network`` against real servers: exit codes, plain lines, the picture on a terminal, ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from ansible_collections.scripts.toolkit import cli
from ansible_collections.scripts.toolkit.cli.network import _wishes

COMMAND = [sys.executable, "-m", "ansible_collections.scripts.toolkit.cli", "network"]
WATCH = ("watch", "--interval", "0.1", "--timeout", "1")


@pytest.fixture
def listener() -> Iterator[str]:
    """A TCP service that takes every connection; gives its address and port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def closed() -> str:
    """An address and a port where nobody listens."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{chosen.getsockname()[1]}"


def test_the_exit_code_is_that_of_the_worst_target(capsys, listener, closed) -> None:
    assert cli.main(["network", "probe", listener]) == 0
    assert "EXCELLENT" in capsys.readouterr().out
    assert cli.main(["network", "probe", listener, closed]) == 4
    said = capsys.readouterr().out
    assert re.search(rf"{closed} +CRITICAL +0 +tcp at fault: .*refused", said)


def test_json_is_the_result_of_the_module(capsys, listener) -> None:
    assert cli.main(["network", "probe", "--json", listener]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["counts"] == {"targets": 1, "ok": 1, "degraded": 0, "failed": 0}


def test_a_target_that_is_none_is_refused_with_a_way_out(capsys) -> None:
    assert cli.main(["network", "probe", "two words"]) == 1
    assert "targets[0].address" in capsys.readouterr().err


def test_each_form_of_a_target_gets_the_rule_that_proves_most_of_it(capsys) -> None:
    argv = [
        "network",
        "probe",
        "192.0.2.7",
        "2001:db8::1",
        "[2001:db8::1]:443",
        "db1:5432",
        "https://a/",
        "192.0.2.0/30",
    ]
    wishes = _wishes(cli._parser(argv).parse_args(argv))
    assert {rule["type"]: rule["targets"] for rule in wishes["rules"]} == {
        "icmp": ["192.0.2.7", "2001:db8::1", "192.0.2.0/30"],
        "tcp": ["[2001:db8::1]:443", "db1:5432"],
        "https": ["https://a/"],
    }
    assert [target["type"] for target in wishes["targets"]] == ["host"] * 4 + ["service", "network"]


def test_without_a_terminal_each_round_is_a_line_and_ctrl_c_sums_up(listener, closed) -> None:
    process = subprocess.Popen([*COMMAND, *WATCH, listener, closed], stdout=subprocess.PIPE, text=True)
    lines = [process.stdout.readline() for _line in range(6)]
    process.send_signal(signal.SIGINT)
    rest, _err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ 127", line) for line in lines)
    assert "\x1b" not in "".join(lines) + rest
    summary = {line.split()[0]: line.split()[1:4] for line in rest.splitlines()[-2:]}
    rounds, failures, share = summary[closed]
    assert int(rounds) == int(failures) >= 3
    assert share == "100.0%"
    assert summary[listener][1:] == ["0", "0.0%"]


def test_on_a_terminal_the_picture_is_renewed_in_place(listener) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([*COMMAND, *WATCH, listener], stdout=theirs, stdin=theirs, env=environment)
    os.close(theirs)
    seen, ended = b"", time.monotonic() + 30
    while seen.count(b"\x1b[2A") < 3 and time.monotonic() < ended:
        seen += os.read(ours, 65536)
    process.send_signal(signal.SIGINT)
    while True:
        try:
            seen += os.read(ours, 65536)
        except OSError:
            break
    assert process.wait(30) == 0
    os.close(ours)
    # Two lines, drawn over each other; the marks of the rounds grow, and the summary follows.
    assert seen.count(b"\x1b[2A") >= 3
    assert b" ... " in seen
    assert b"LEAST / MEAN / MOST" in seen


def test_a_number_of_rounds(capsys, listener) -> None:
    assert cli.main(["network", *WATCH, "--count", "2", listener]) == 0
    assert capsys.readouterr().out.count("Z 127.0.0.1") == 2
