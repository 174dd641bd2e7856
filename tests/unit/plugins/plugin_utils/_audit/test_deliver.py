# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deliveries: everybody gets what is new, what failed waits and is caught up, and nobody holds up the others."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest
from delivery_lab import Rough, Witness, answering, http, lift_backoff, outcomes, state

from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit import deliver as delivering
from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit import standing, witness_directory
from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit.deliver import deliver

OK = http(200, b"{}")


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


def test_a_clock_that_was_put_back_makes_nobody_wait_for_ever():
    entry = standing.Standing(next_attempt=10_000)
    assert [entry.due(now) for now in (10_000, 9_999, 6_400, 6_399, 0)] == [True, False, False, True, True]


def test_the_longest_wait_is_never_exceeded():
    entry = standing.Standing(failures=10_000)
    entry.failed(delivering.TimeoutExpired("x"), 0)
    assert entry.next_attempt == standing.LONGEST_WAIT
