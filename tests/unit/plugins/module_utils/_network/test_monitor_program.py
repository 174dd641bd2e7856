# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real program, started as systemd starts it, against a real server that fails by a script: no round too early,
none too late. It runs without any installed package, as on a host."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from monitor_lab import receiving

ROOT = Path(__file__).resolve().parents[8]
MODULE = "ansible_collections.scripts.toolkit.plugins.module_utils._network.monitor.command"
CACHE = Path(tempfile.gettempdir()) / "toolkit-network-monitor-bytecode"
OK, ERROR, REFUSE, SILENT, CUT = "ok", "error", "refuse", "silent", "cut"


class Faulty:
    """An HTTP server that is well or has one of several faults, switched between rounds."""

    def __init__(self) -> None:
        faulty = self
        self.state, self.asked = OK, 0

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                faulty.asked += 1
                if faulty.state == SILENT:
                    faulty.release.wait(5)
                    return
                self.request.recv(65536)
                if faulty.state == CUT:
                    self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
                    return
                status = b"200 OK" if faulty.state == OK else b"500 Broken"
                self.request.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

        self.handler, self.server, self.release = Handler, None, threading.Event()
        with socket.socket() as chosen:
            chosen.bind(("127.0.0.1", 0))
            self.port = chosen.getsockname()[1]
        self.turn(OK)

    def turn(self, state: str) -> None:
        """Be in this state from now on; ``refuse`` closes the port."""
        self.state = state
        if state == REFUSE and self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        elif state != REFUSE and not self.server:
            socketserver.ThreadingTCPServer.allow_reuse_address = True
            self.server = socketserver.ThreadingTCPServer(("127.0.0.1", self.port), self.handler)
            self.server.daemon_threads = True
            threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.release.set()
        self.turn(REFUSE)


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    server = Faulty()
    yield server
    server.close()


class Monitor:
    """The program with its configuration and state."""

    def __init__(self, directory: Path, port: int, **more) -> None:
        self.directory = directory
        self.config = directory / "monitor.json"
        target = {"name": "site", "address": f"http://127.0.0.1:{port}/", "type": "service"}
        rule = {"name": "page", "type": "http", "timeout": 0.5}
        probe = {"targets": [target], "rules": [rule]}
        self.configure(**{"probe": probe, "failures": 3, "successes": 2, **more})

    def configure(self, hooks: list = (), **settings) -> None:
        secrets = self.directory / "hooks.json"
        secrets.write_text(json.dumps(hooks))
        self.config.write_text(json.dumps({**settings, "hooks_path": str(secrets)}))

    def start(self, *words: str) -> subprocess.Popen:
        # -S: no site-packages, so nothing but the standard library and the collection's own code.
        argv = [
            sys.executable,
            "-S",
            "-m",
            MODULE,
            "--config",
            str(self.config),
            "--state",
            str(self.directory / "state"),
        ]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(CACHE)}
        return subprocess.Popen(
            [*argv, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def call(self, *words: str, rc: int = 0) -> str:
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        assert process.returncode == rc, out + err
        return out + err

    def status(self) -> dict:
        return json.loads(self.call("status", "--json"))


@pytest.mark.parametrize(
    ("fault", "layer"), [(REFUSE, "tcp"), (ERROR, "application"), (SILENT, "application"), (CUT, "application")]
)
def test_the_alert_fires_at_the_third_failure_and_clears_at_the_second_success(tmp_path, faulty, fault, layer) -> None:
    with receiving(500) as receiver:
        monitor = Monitor(tmp_path, faulty.port, hooks=[{"name": "chat", "webhook": receiver.url}])
        heard = []
        for state in [OK, fault, fault, OK, fault, fault, fault, OK, fault, OK, OK]:
            faulty.turn(state)
            monitor.call("run")
            # The receiver refuses the first notification; the next round's delivery brings it.
            monitor.call("notify", rc=1 if receiver.script and len(heard) == 6 else 0)
            heard.append([event["type"] for _path, _headers, event in receiver.requests])
    assert [len(events) for events in heard] == [0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 3]
    assert heard[-1] == ["alert", "alert", "recovery"]
    first, again, _recovery = (event for _path, _headers, event in receiver.requests)
    assert first == again
    assert first["fault"]["layer"] == layer
    assert monitor.status()["pending"] == []


def test_n_of_m(tmp_path, faulty) -> None:
    monitor = Monitor(tmp_path, faulty.port, window=5, successes=1)
    said = []
    for state in [ERROR, OK, ERROR, OK, ERROR, OK]:
        faulty.turn(state)
        said.append(monitor.call("run").splitlines()[1:])
    assert said[:4] == [[]] * 4
    assert said[4][0].startswith("alert: site")
    assert said[5][0].startswith("recovery: site")


def test_kill_9_at_any_moment_of_a_run_keeps_the_count(tmp_path, faulty) -> None:
    """A killed round has happened or not; the alert comes with exactly the fourth that has, and is never told twice."""
    events = tmp_path / "events"
    hook = {"name": "file", "command": ["/bin/sh", "-c", f"cat >>{events}; echo >>{events}"]}
    monitor = Monitor(tmp_path, faulty.port, hooks=[hook], failures=4)
    faulty.turn(ERROR)
    began = time.monotonic()
    monitor.call("run")
    usual = time.monotonic() - began
    chance, kills, rounds = random.Random(3), 0, 1
    while rounds < 6 or kills < 5:
        process = monitor.start("run")
        try:
            process.wait(timeout=usual * (0.5 + chance.random()))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
        status = monitor.status()
        (entry,) = status["targets"]
        assert entry["history"]["rounds"] in (rounds, rounds + 1)
        rounds = entry["history"]["rounds"]
        assert entry["alerting"] == (rounds >= 4)
        assert len(status["pending"]) == (1 if rounds >= 4 else 0)
    monitor.call("notify")
    assert [json.loads(line)["type"] for line in events.read_text().splitlines()] == ["alert"]


def test_a_hook_that_hangs_delays_no_round(tmp_path, faulty) -> None:
    hook = {"name": "slow", "command": ["/bin/sleep", "20"], "timeout": 60}
    monitor = Monitor(tmp_path, faulty.port, hooks=[hook], failures=1)
    faulty.turn(ERROR)
    monitor.call("run")
    delivery = monitor.start("notify")
    try:
        for _round in range(3):
            monitor.call("run")
        assert delivery.poll() is None, "the delivery still waits for its hook"
        assert monitor.status()["targets"][0]["history"]["rounds"] == 4
        # A second delivery leaves the first alone.
        assert monitor.call("notify") == ""
    finally:
        delivery.send_signal(signal.SIGKILL)
        delivery.wait()
        delivery.stdout.close()
        delivery.stderr.close()
    assert len(monitor.status()["pending"]) == 1


@pytest.mark.parametrize(
    ("probe", "told"),
    [
        ({"rules": [{"type": "tcp"}]}, "probe.targets is missing"),
        ({"targets": [{"address": "a"}], "rules": [{"type": "pigeon"}]}, "probe.rules[0].type"),
        ({"targets": [{"address": "a", "port": "80"}], "rules": [{"type": "tcp"}]}, "probe.targets[0].port"),
        ({"targets": [{"adress": "a"}], "rules": [{"type": "tcp"}]}, "probe.targets[0].adress"),
        ({"targets": [{"address": "a"}]}, "There are no rules"),
        ({"targets": [{"address": "300.1.1.1:x"}], "rule_sets": ["ping_test"]}, "targets[0].address"),
    ],
)
def test_the_check_of_a_configuration_names_what_is_wrong(tmp_path, probe, told) -> None:
    monitor = Monitor(tmp_path, 1, probe=probe)
    assert told in monitor.call("check", rc=1)
    assert told in monitor.call("run", rc=1)
    assert not (tmp_path / "state" / "monitor.sqlite").exists()
