# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deliveries by processes of their own and by people: one at a time, in nobody's way, with no secret left anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from delivery_lab import Rough, answering, command, http, is_delivering, outcomes, state, until

from ansible_collections.scripts.toolkit import cli
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.integrator import integrate
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.journal import JournalSink
from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit.deliver import deliver, start

OK = http(200, b"{}")


def test_one_process_at_a_time_and_it_does_the_work_of_those_that_come(log, witness):
    """While the first waits for its witness the log grows; whoever comes then leaves, and nothing is left over."""
    log.settings(witnesses=[witness.target])
    log.grow(2)
    witness.delay = 0.3
    child = subprocess.Popen(
        [sys.executable, "-m", "ansible_collections.scripts.toolkit.cli", *command(log, "deliver")]
    )
    until(lambda: (log.directory / "deliver.lock").exists() and witness.server and is_delivering(log))
    log.grow(2)
    assert deliver(str(log.directory)) is None
    assert child.wait(timeout=30) == 0
    assert witness.held()["size"] == 4


def test_a_run_starts_a_process_that_delivers_and_is_nobodys_child(log, witness, tmp_path, monkeypatch):
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD", "hunter2")
    seen = tmp_path / "seen.json"
    site = tmp_path / "site"
    site.mkdir()
    look = (
        "import json, os, sys\n"
        "fds = {int(fd): os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')\n"
        "       if os.path.exists(f'/proc/self/fd/{fd}')}\n"
        "if 'deliver' in open('/proc/self/cmdline').read():\n"
        f"    open({str(seen)!r} + '.new', 'w').write(json.dumps([fds, os.getsid(0), os.getpid(), dict(os.environ)]))\n"
        f"    os.rename({str(seen)!r} + '.new', {str(seen)!r})\n"
    )
    (site / "sitecustomize.py").write_text(look)
    monkeypatch.setenv("PYTHONPATH", f"{site}:{os.environ.get('PYTHONPATH', '')}")
    log.settings(witnesses=[witness.target])
    log.grow(4)
    with (tmp_path / "inherited").open("w"):
        assert start(str(log.directory)) is True
        until(seen.exists)
    fds, session, pid, environment = json.loads(seen.read_text())
    assert {fds[number] for number in "012"} == {"/dev/null"}
    assert str(tmp_path / "inherited") not in fds.values()
    assert session not in (os.getsid(0), pid)
    assert "hunter2" not in environment.values()
    until(lambda: witness.held()["size"] == 4)
    until(lambda: list((log.directory / "witness").glob("*.json")))
    assert state(log, "witness")["witnessed"]["size"] == 4
    assert Path(f"/proc/self/task/{os.getpid()}/children").read_text().split() == []


def test_a_run_waits_for_no_dead_witness(log):
    """The process is at work while start has long returned: it counts, the witness has not answered by then."""
    asked, go = threading.Event(), threading.Event()

    def hang(_server, _connection):
        asked.set()
        go.wait(30)

    log.grow(4)
    with Rough(hang) as server:
        log.settings(witnesses=[], metrics_sinks=[f"otlp+http://127.0.0.1:{server.port}"])
        assert start(str(log.directory)) is True
        assert asked.wait(15)
        assert not (log.directory / "sinks").exists()
        go.set()
        until(lambda: list((log.directory / "sinks").glob("*.json")))
        assert state(log, "sinks")["failures"] == 1
        assert start(str(log.directory)) is False  # it waits: no process is started for nothing


def test_with_the_journal_alone_no_process_is_started(log, tmp_path):
    log.settings(witnesses=[f"journal:{tmp_path}/none"])
    log.grow(4)
    assert start(str(log.directory)) is False
    assert state(log, "witness")["pending"]["size"] == 4


def test_nothing_goes_wrong_where_there_is_no_log(tmp_path):
    assert start(str(tmp_path / "none")) is False
    (tmp_path / "settings.json").write_text("{")
    assert start(str(tmp_path)) is False


def test_no_secret_is_left_anywhere(log, witness, tmp_path, capfd):
    (tmp_path / "token").write_text("s3cr3t-canary")
    log.grow(3)
    with Rough(answering(http(401, b"bad token s3cr3t-canary"))) as sink:
        log.settings(
            witnesses=[witness.target.replace("#", f"?token_file={tmp_path}/token#")],
            metrics_sinks=[f"otlp+http://127.0.0.1:{sink.port}?token_file={tmp_path}/token"],
        )
        assert cli.main(command(log, "deliver")) == 1
        assert cli.main([*command(log, "deliver", "--now"), "--json"]) == 1
    assert b"Bearer s3cr3t-canary" in sink.received[0][0]
    assert witness.requests[0][2]["Authorization"] == "Bearer s3cr3t-canary"
    output = "".join(capfd.readouterr())
    assert "401" in output
    texts = [output, *(path.read_bytes().decode("latin-1") for path in log.directory.rglob("*") if path.is_file())]
    assert not [text for text in texts if "s3cr3t" in text]


def test_the_commands(log, witness, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    log.settings(witnesses=[witness.target, f"directory:{tmp_path}/other"])
    log.grow(6)
    assert cli.main(command(log, "witness", "list")) == 0
    listed = capsys.readouterr().out
    assert f"http://127.0.0.1:{witness.port}/w/" in listed
    assert witness.vkey not in listed
    witness.statuses = [503]
    assert cli.main(command(log, "witness", "push")) == 1
    assert "503" in capsys.readouterr().out
    assert cli.main([*command(log, "witness", "state"), "--json"]) == 1
    server, directory = json.loads(capsys.readouterr().out)
    assert (server["entries"], server["holds"], server["state"]["failures"]) == (6, 0, 1)
    assert (directory["holds"], directory["error"]) == (6, None)
    assert cli.main(command(log, "witness", "push", server["name"])) == 0
    assert "sent" in capsys.readouterr().out
    assert cli.main([*command(log, "witness", "state"), "--ask", "--json"]) == 0
    assert [entry["holds"] for entry in json.loads(capsys.readouterr().out)] == [6, 6]
    log.grow(4)
    assert cli.main([*command(log, "witness", "state"), "--ask"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["NAME", "HOLDS", "BEHIND"]
    assert [line.split()[1:3] for line in lines[1:]] == [["6", "4"], ["6", "4"]]
    assert cli.main(command(log, "deliver", "--quiet")) == 0
    assert "".join(capsys.readouterr()) == ""
    assert cli.main(command(log, "witness", "state", "nobody")) == 1
    assert "no witness nobody" in capsys.readouterr().err


def test_metrics_are_printed(log, capsys):
    assert cli.main(command(log, "metrics")) == 0
    assert 'scripts_toolkit_runs_total{playbook="a/b.yml",status="success"} 1' in capsys.readouterr().out.splitlines()
    assert cli.main([*command(log, "metrics"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "runs_total"


def test_the_metrics_can_be_counted_anew_from_the_log(tmp_path, capsys):
    for number in range(3):
        run_id = f"run{number}"
        sink = JournalSink(str(tmp_path), run_id, sync_interval=0)
        record = {
            "details": {"status": "success", "duration_ms": 5},
            "event_type": "EXECUTION_END",
            "run_id": run_id,
            "salt": "00",
            "script": "/a/b.yml",
            "timestamp": "2026-01-02T03:04:05.678Z",
        }
        sink.write(json.dumps(record, separators=(",", ":"), sort_keys=True).encode() + b"\n")
        sink.close()
    integrate(str(tmp_path), lambda _end: None)
    argv = ["audit", "metrics", "--log-directory", str(tmp_path)]
    assert cli.main(argv) == 0
    assert "b.yml" not in capsys.readouterr().out
    assert cli.main([*argv, "--rebuild"]) == 0
    output = capsys.readouterr()
    assert "3 runs" in output.err
    assert 'scripts_toolkit_runs_total{playbook="a/b.yml",status="success"} 3' in output.out.splitlines()


def test_where_no_trail_is(tmp_path, capsys):
    assert cli.main(["audit", "deliver", "--log-directory", str(tmp_path / "none")]) == 1
    assert "There is no audit trail in" in capsys.readouterr().err


def test_a_process_that_is_killed_leaves_its_work_to_the_next(log, witness):
    """It dies after the witness has taken the checkpoint and before it could keep the cosignature."""
    log.settings(witnesses=[witness.target])
    log.grow(300)
    assert outcomes(deliver(str(log.directory))) == ["sent"]
    log.grow(5)
    taken, honest = threading.Event(), witness.lie

    def hold(_line):
        taken.set()
        witness.lie = honest
        child.wait(timeout=30)
        return b""

    witness.lie = hold
    child = subprocess.Popen(
        [sys.executable, "-m", "ansible_collections.scripts.toolkit.cli", *command(log, "deliver")]
    )
    assert taken.wait(15)
    child.kill()
    child.wait(timeout=10)
    assert state(log, "witness")["witnessed"]["size"] == 300
    assert outcomes(deliver(str(log.directory))) == ["sent"]
    assert state(log, "witness")["witnessed"]["size"] == witness.held()["size"] == 305
    assert [request[1].split(b"\n")[0] for request in witness.requests[2:]] == [b"old 300", b"old 305"]
