# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deliveries: one process at a time, nobody waits for it, what failed waits and is caught up."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from delivery_lab import Log, Rough, Witness, answering, http

from ansible_collections.scripts.toolkit import cli
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.integrator import integrate
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.journal import JournalSink
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.metrics import MetricsSink, Tally
from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit import deliver as delivering
from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit import standing, witness_directory
from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit.deliver import deliver, start

OK = http(200, b"{}")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def log(tmp_path):
    (tmp_path / "log").mkdir()
    made = Log(tmp_path / "log")
    tally = Tally()
    tally.add("ansible.builtin.copy", "ok", 4)
    details = {"status": "success", "duration_ms": 5, **tally.details()}
    end = {"run_id": "a", "timestamp": "2026-01-02T03:04:05.500Z", "script": "/a/b.yml", "details": details}
    MetricsSink(str(made.directory), None).fold(end)
    return made


@pytest.fixture
def witness(log, tmp_path):
    with Witness(tmp_path / "witness.state", log.signer.verifier.vkey) as server:
        yield server


def state(log, group):
    [path] = (log.directory / group).glob("*.json")
    return json.loads(path.read_text())


def outcomes(done):
    return [entry.outcome for entry in done]


def until(condition):
    """Wait for something that another process does."""
    for _try in range(1500):
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def lift_backoff(log, group):
    for path in (log.directory / group).glob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "next_attempt": 0}))


def test_everything_is_delivered_to_all_and_only_once(log, witness, tmp_path):
    (tmp_path / "other").mkdir()
    log.grow(5)
    with Rough(answering(OK)) as sink:
        url = f"otlp+http://127.0.0.1:{sink.port}"
        log.settings(witnesses=[witness.target, f"directory:{tmp_path}/other"], metrics_sinks=[url])
        assert outcomes(deliver(str(log.directory))) == ["sent"] * 3
        assert outcomes(deliver(str(log.directory))) == ["current", "current", "sent"]
        assert len(witness.requests) == 1
        assert b"ansible.builtin.copy" in sink.received[0][1]
    assert witness.held()["size"] == 5


def test_without_a_checkpoint_only_metrics_are_delivered(log, witness):
    with Rough(answering(OK)) as sink:
        log.settings(witnesses=[witness.target], metrics_sinks=[f"otlp+http://127.0.0.1:{sink.port}"])
        assert outcomes(deliver(str(log.directory))) == ["current", "sent"]
    assert witness.requests == []


def test_a_dead_witness_waits_longer_each_time_and_is_caught_up(log, witness):
    log.settings(witnesses=[witness.target])
    log.grow(3)
    assert outcomes(deliver(str(log.directory))) == ["sent"]
    witness.statuses = [503] * 20
    waits = []
    for _number in range(9):
        log.grow(1)
        assert outcomes(deliver(str(log.directory))) == ["failed"]
        found = state(log, "witness")
        waits.append(found["next_attempt"] - found["last_attempt"])
        assert outcomes(deliver(str(log.directory))) == ["waiting"]
        lift_backoff(log, "witness")
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert found["pending"]["size"] == 12
    assert found["witnessed"]["size"] == 3
    assert found["failures"] == 9
    assert len(witness.requests) == 10
    witness.statuses = []
    assert outcomes(deliver(str(log.directory))) == ["sent"]
    found = state(log, "witness")
    assert (found["pending"], found["failures"], found["error"]) == (None, 0, None)
    assert found["witnessed"]["size"] == witness.held()["size"] == 12
    assert witness.requests[-1][1].startswith(b"old 3\n")


def test_a_person_need_not_wait(log, witness):
    log.settings(witnesses=[witness.target])
    log.grow(3)
    witness.statuses = [500]
    assert outcomes(deliver(str(log.directory))) == ["failed"]
    assert outcomes(deliver(str(log.directory), now=True)) == ["sent"]


def test_what_a_server_asks_for_is_waited_but_not_for_ever(log):
    log.grow(1)
    with Rough(answering(http(429, b"", Retry_After="600"), http(429, b"", Retry_After="999999"))) as sink:
        log.settings(witnesses=[], metrics_sinks=[f"otlp+http://127.0.0.1:{sink.port}"])
        waits = []
        for _number in range(2):
            assert outcomes(deliver(str(log.directory))) == ["failed"]
            found = state(log, "sinks")
            waits.append(found["next_attempt"] - found["last_attempt"])
            lift_backoff(log, "sinks")
    assert waits == [600, 3600]


def test_a_restarted_witness_goes_on_where_it_was(log, tmp_path):
    with Witness(tmp_path / "w.state", log.signer.verifier.vkey) as first:
        log.settings(witnesses=[first.target])
        log.grow(300)
        assert outcomes(deliver(str(log.directory))) == ["sent"]
        key, port = first.key, first.port
    log.grow(10)
    assert outcomes(deliver(str(log.directory))) == ["failed"]
    with Witness(tmp_path / "w.state", log.signer.verifier.vkey, key=key, port=port) as second:
        assert outcomes(deliver(str(log.directory), now=True)) == ["sent"]
        assert second.held()["size"] == 310


def test_slow_ones_are_waited_for_at_the_same_time_and_hold_up_no_other(log, witness):
    log.grow(3)
    began = threading.Barrier(3, timeout=10)

    def hang(_server, _connection):
        began.wait()  # breaks unless all three are asked at the same time
        threading.Event().wait(30)

    with Rough(hang) as one, Rough(hang) as two, Rough(hang) as three:
        sinks = [f"otlp+http://127.0.0.1:{rough.port}?timeout=0.5" for rough in (one, two, three)]
        log.settings(witnesses=[witness.target], metrics_sinks=sinks)
        done = deliver(str(log.directory))
    assert outcomes(done) == ["sent", "failed", "failed", "failed"]
    assert [entry.error.kind for entry in done[1:]] == ["timeout"] * 3
    assert not began.broken


def test_a_dead_mount_holds_up_nobody(log, tmp_path, monkeypatch):
    """Opening a pipe that nobody reads hangs like a file of a server that is gone."""
    (tmp_path / "dead").mkdir()
    log.grow(1)
    path = Path(witness_directory._path(str(tmp_path / "dead"), log.signer.verifier.name))
    os.mkfifo(f"{path}s")
    monkeypatch.setattr(delivering, "_DIRECTORY_SECONDS", 0.3)
    real_open = os.open
    flags_without_read = os.O_RDWR

    def hanging(name, flags, *rest, **more):  # a pipe opened for reading too would not wait for a reader
        if str(name).endswith(".checkpoints"):
            flags = (flags & ~flags_without_read) | os.O_WRONLY
        return real_open(name, flags, *rest, **more)

    monkeypatch.setattr(os, "open", hanging)
    log.settings(witnesses=[f"directory:{tmp_path}/dead"])
    [done] = deliver(str(log.directory))
    assert done.outcome == "failed"
    assert done.error.kind == "timeout"
    assert state(log, "witness")["pending"]["size"] == 1
    with open(f"{path}s", "rb", buffering=0) as reader:  # let the thread go
        reader.read(10)


def test_one_process_at_a_time_and_it_does_the_work_of_those_that_come(log, witness):
    """While the first waits for its witness the log grows; whoever comes then leaves, and nothing is left over."""
    log.settings(witnesses=[witness.target])
    log.grow(2)
    witness.delay = 0.3
    child = subprocess.Popen(
        [sys.executable, "-m", "ansible_collections.scripts.toolkit.cli", *command(log, "deliver")]
    )
    until(lambda: (log.directory / "deliver.lock").exists() and witness.server and witness_is_asked(log))
    log.grow(2)
    assert deliver(str(log.directory)) is None
    assert child.wait(timeout=30) == 0
    assert witness.held()["size"] == 4


def witness_is_asked(log):
    """Return whether another process holds the lock."""
    import fcntl

    with open(log.directory / "deliver.lock", "r+b") as handle:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def command(log, *argv):
    return ["audit", *argv, "--log-directory", str(log.directory)]


def test_a_bad_setting_is_told_and_keeps_no_other_from_its_work(log, witness):
    log.settings(witnesses=["nonsense", witness.target], metrics_sinks=["otlp+nonsense"])
    log.grow(1)
    done = deliver(str(log.directory))
    assert [(entry.group, entry.outcome) for entry in done] == [
        ("settings", "failed"),
        ("settings", "failed"),
        ("witness", "sent"),
    ]


def test_a_checkpoint_that_is_none_keeps_no_metrics_from_their_way(log):
    (log.directory / "checkpoint").write_bytes(b"\xffnonsense\n\n\n")
    with Rough(answering(OK)) as sink:
        log.settings(witnesses=["directory:/mnt"], metrics_sinks=[f"otlp+http://127.0.0.1:{sink.port}"])
        assert outcomes(deliver(str(log.directory))) == ["failed", "current", "sent"]


@pytest.mark.parametrize("damage", ["{", "[]", '{"failures": "x"}', '{"witnessed": 3}', '{"witnessed": {"size": "x"}}'])
def test_a_damaged_state_is_begun_anew(log, witness, damage):
    log.settings(witnesses=[witness.target])
    log.grow(1)
    deliver(str(log.directory))
    [path] = (log.directory / "witness").glob("*.json")
    path.write_text(damage)
    assert outcomes(deliver(str(log.directory))) == ["sent"]
    assert state(log, "witness")["witnessed"]["size"] == 1


def test_a_witness_that_was_taken_out_is_forgotten(log, witness, tmp_path):
    log.settings(witnesses=[witness.target])
    log.grow(1)
    deliver(str(log.directory))
    log.settings(witnesses=[])
    deliver(str(log.directory))
    assert [path.suffix for path in (log.directory / "witness").iterdir()] == [".note"]


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


def test_the_text_file_tells_how_witnesses_stand_without_a_run(log, witness, tmp_path):
    path = tmp_path / "metrics" / "x.prom"
    log.settings(witnesses=[witness.target], metrics_path=str(path))
    log.grow(3)
    (log.directory / "verification.json").write_text('{"entries": 3, "ok": true, "time": 5}')
    deliver(str(log.directory))
    lines = path.read_text().splitlines()
    assert "scripts_toolkit_verification_ok 1" in lines
    held = re.compile(r'scripts_toolkit_witness_size\{witness="127\.0\.0\.1-[0-9a-f]{8}"\} 3')
    assert [line for line in lines if held.fullmatch(line)]
    log.settings(witnesses=[], metrics_path="/proc/none/x.prom")
    assert deliver(str(log.directory)) == []


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


def test_a_clock_that_was_put_back_makes_nobody_wait_for_ever():
    entry = standing.Standing(next_attempt=10_000)
    assert [entry.due(now) for now in (10_000, 9_999, 6_400, 6_399, 0)] == [True, False, False, True, True]


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


def test_the_longest_wait_is_never_exceeded():
    entry = standing.Standing(failures=10_000)
    entry.failed(delivering.TimeoutExpired("x"), 0)
    assert entry.next_attempt == standing.LONGEST_WAIT
