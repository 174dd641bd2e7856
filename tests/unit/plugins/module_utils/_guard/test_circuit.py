# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The breaker on its SQLite file: states, counting, leases, clocks, and a state machine against a simple model."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import IntegrityError, UnavailableError
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit import (
    Circuit,
    CircuitOpen,
    Policy,
    open_store,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit_admin import set_circuits


class Clock:
    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock):
    """Return circuits as several processes would have them: each with its own connection."""

    def circuit(name: str = "api", **policy) -> Circuit:
        return Circuit(open_store(None, str(tmp_path)), name, Policy(**policy), clock)

    return circuit


def call(circuit: Circuit, succeeded: bool | None) -> list[dict]:
    entry = circuit.enter()
    return entry.transitions + circuit.leave(entry, succeeded)


def refused(circuit: Circuit) -> CircuitOpen:
    with pytest.raises(CircuitOpen) as caught:
        circuit.enter()
    return caught.value


def opened(circuit: Circuit) -> Circuit:
    while not any(transition["to"] == "open" for transition in call(circuit, False)):
        pass
    return circuit


def test_it_opens_at_the_threshold_and_says_why_and_for_how_long(make, clock):
    circuit = make(threshold=3, period=10, open_for=30)
    assert [call(circuit, False) for _time in range(2)] == [[], []]
    assert call(circuit, False) == [
        {"circuit": "api", "from": "closed", "to": "open", "reason": "3 failures within 10 seconds"}
    ]
    clock.time += 10
    error = refused(make(threshold=3, period=10, open_for=30))
    assert (error.kind, error.state, error.retry_after) == ("unavailable", "open", 20)
    assert "The circuit api is open: 3 failures within 10 seconds. A probe is let through in 20 seconds." in str(error)
    assert "circuit_breaker" in error.hint


def test_failures_that_are_older_than_the_period_do_not_count(make, clock):
    circuit = make(threshold=3, period=10)
    for _time in range(20):
        assert call(circuit, False) == []
        clock.time += 5.1
    assert call(circuit, True) == []


def test_a_probe_that_succeeds_closes_it_and_one_that_fails_opens_it_again(make, clock):
    circuit = opened(make(threshold=1, open_for=30))
    clock.time += 30
    probe = circuit.enter()
    assert probe.state == "half_open"
    assert [(each["from"], each["to"]) for each in probe.transitions] == [("open", "half_open")]
    assert refused(make()).state == "half_open"
    assert [each["to"] for each in circuit.leave(probe, False)] == ["open"]
    assert refused(circuit).retry_after == 30
    clock.time += 30
    assert [each["to"] for each in call(circuit, True)] == ["half_open", "closed"]
    assert circuit.enter().state == "closed"


def test_several_probes_at_a_time_and_several_successes_to_close(make, clock):
    circuit = opened(make(threshold=1, half_open_calls=2, success_threshold=3))
    clock.time += 60
    first, second = circuit.enter(), circuit.enter()
    refused(circuit)
    assert circuit.leave(first, True) == []
    assert circuit.leave(second, True) == []
    assert [each["reason"] for each in call(circuit, True)] == ["3 probes succeeded"]


def test_a_probe_given_back_counts_for_nothing_and_frees_its_place(make, clock):
    circuit = opened(make(threshold=1))
    clock.time += 60
    probe = circuit.enter()
    assert circuit.leave(probe, None) == []
    assert circuit.leave(probe, False) == []
    assert circuit.enter().state == "half_open"


def test_the_lease_of_a_probe_ends_but_its_late_result_counts(make, clock):
    circuit = opened(make(threshold=1, probe_timeout=5))
    clock.time += 60
    late = circuit.enter()
    clock.time += 4.9
    refused(circuit)
    clock.time += 0.1
    assert circuit.enter().state == "half_open"
    assert [each["to"] for each in circuit.leave(late, True)] == ["closed"]


def test_what_began_in_an_earlier_state_is_not_counted(make, clock):
    circuit = make(threshold=1, half_open_calls=2)
    slow = circuit.enter()
    opened(circuit)
    assert circuit.leave(slow, False) == []
    clock.time += 60
    first, second = circuit.enter(), circuit.enter()
    circuit.leave(first, False)
    assert circuit.leave(second, True) == []
    assert refused(circuit).state == "open"


def test_a_part_of_the_calls_opens_it(make, clock):
    circuit = make(failure_ratio=0.5, minimum_calls=4, period=10)
    assert [call(circuit, succeeded) for succeeded in (True, True, False)] == [[], [], []]
    assert [each["reason"] for each in call(circuit, False)] == ["2 of 4 calls failed within 10 seconds"]


def test_counted_calls_take_bounded_room_and_are_forgotten(make, clock, tmp_path):
    circuit = make(failure_ratio=0.9, minimum_calls=10, period=10)
    sizes = set()
    for number in range(300):
        call(circuit, number % 2 == 0)
        clock.time += 0.3
        sizes.add(len(kept(tmp_path)["calls"]))
    assert max(sizes) <= 11
    assert 25 <= circuit.peek()["calls"] <= 40
    clock.time += 100
    assert circuit.peek()["calls"] == 0


def kept(directory: Path) -> dict:
    with sqlite3.connect(directory / "circuits.sqlite") as database:
        return json.loads(database.execute("SELECT record FROM circuit").fetchone()[0])


def test_a_circuit_that_is_well_writes_nothing(make, tmp_path, clock):
    circuit = make()
    for _time in range(3):
        assert call(circuit, True) == []
    assert not list(tmp_path.iterdir())
    call(circuit, False)
    before = (tmp_path / "circuits.sqlite-wal").read_bytes()
    for _time in range(3):
        assert call(circuit, True) == []
    assert (tmp_path / "circuits.sqlite-wal").read_bytes() == before


def test_a_circuit_that_is_open_refuses_without_writing(make, tmp_path, clock):
    circuit = opened(make())
    before = (tmp_path / "circuits.sqlite-wal").read_bytes()
    refused(circuit)
    assert (tmp_path / "circuits.sqlite-wal").read_bytes() == before


@pytest.mark.parametrize("back", [1, 3600, 10**8])
def test_a_clock_that_goes_backwards_delays_by_no_more_than_the_full_time(make, clock, back):
    circuit = opened(make(threshold=2, open_for=30, period=10, probe_timeout=20))
    clock.time -= back
    assert refused(circuit).retry_after <= 30
    clock.time += 30
    assert circuit.enter().state == "half_open"
    clock.time -= back
    refused(circuit)
    clock.time += 20
    assert [each["to"] for each in call(circuit, True)] == ["closed"]
    call(circuit, False)
    clock.time -= back
    assert [each["to"] for each in call(circuit, False)] == ["open"]


def test_the_place_of_a_probe_that_was_killed_is_free_at_once(make, clock):
    circuit = opened(make(threshold=1))
    clock.time += 60
    child = os.fork()
    if child == 0:
        entered = make().enter()
        os.kill(os.getpid(), signal.SIGKILL if entered.state == "half_open" else signal.SIGTERM)
    status = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT).si_status
    assert status == signal.SIGKILL
    # Not even reaped yet: a zombie makes no call any more.
    assert circuit.enter().state == "half_open"
    os.waitpid(child, 0)


def test_the_place_of_a_process_in_another_namespace_is_kept(make, clock, tmp_path):
    circuit = opened(make(threshold=1))
    clock.time += 60
    circuit.enter()
    record = kept(tmp_path)
    record["probes"][0]["holder"] = [999_999_999, "gone", "pid:[1]"]
    with sqlite3.connect(tmp_path / "circuits.sqlite") as database:
        database.execute("UPDATE circuit SET record = ?", (json.dumps(record),))
    refused(circuit)
    clock.time += 300
    assert circuit.enter().state == "half_open"


def test_closing_by_hand_forgets_what_was_counted(tmp_path):
    store = open_store(None, str(tmp_path))
    circuit = Circuit(store, "api", Policy(threshold=2))
    call(circuit, False)
    wish = [{"name": "api", "state": "closed"}]
    predicted = set_circuits(store, wish, True).entries
    assert set_circuits(store, wish, False).entries == predicted
    assert (predicted[0]["before"]["failures"], predicted[0]["after"]["failures"]) == (1, 0)
    assert not set_circuits(store, wish, False).changed
    assert call(circuit, False) == []


def test_peek_changes_nothing(make, clock, tmp_path):
    circuit = make(threshold=1)
    assert circuit.peek()["state"] == "closed"
    assert circuit.peek()["permits"] is None
    assert not list(tmp_path.iterdir())
    opened(circuit)
    assert circuit.peek()["permits"] == 0
    clock.time += 60
    seen = circuit.peek()
    assert (seen["state"], seen["permits"], seen["open_until"]) == ("open", 1, "2023-11-14T22:14:20.000Z")
    circuit.enter()
    seen = make(threshold=1).peek()
    assert (seen["state"], seen["probes"], seen["permits"]) == ("half_open", 1, 0)


def test_a_damaged_record_is_named_or_bypassed(make, tmp_path):
    opened(make())
    with sqlite3.connect(tmp_path / "circuits.sqlite") as database:
        database.execute("UPDATE circuit SET record = '[1]'")
    with pytest.raises(IntegrityError, match="damaged") as caught:
        make().enter()
    assert caught.value.item == "api"
    circuit = make(on_backend_error="bypass")
    assert circuit.enter().state == "bypassed"
    assert "damaged" in circuit.warnings[0]


def test_a_file_that_can_not_be_used_fails_or_is_bypassed(make, tmp_path, clock):
    (tmp_path / "file").touch()
    store = open_store(None, str(tmp_path / "file" / "below"))
    circuit = Circuit(store, "api", Policy(), clock)
    entry = circuit.enter()
    with pytest.raises(UnavailableError):
        circuit.leave(entry, False)
    circuit = Circuit(store, "api", Policy(on_backend_error="bypass"), clock)
    assert circuit.leave(circuit.enter(), False) == []
    assert circuit.warnings
