# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The breaker against a simple model of it: one that remembers everything and looks at all of it each time.

Time goes in seconds; a period of ten makes the buckets in which calls are counted one second wide, so that the model
counts them exactly.
"""

from __future__ import annotations

import shutil
import tempfile

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit import (
    Circuit,
    CircuitOpen,
    Policy,
    open_store,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit_admin import set_circuits

PERIOD = 10
OPEN_FOR = 7
LEASE = 5


class Model:
    """What should be. ``calls`` are ``(time, epoch, succeeded)``; an epoch ends whenever the state changes."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.state, self.since, self.epoch = "closed", 0, 0
        self.calls: list[tuple] = []
        self.probes: dict[int, int] = {}

    def turn(self, state: str, now: int) -> None:
        self.state, self.since, self.epoch = state, now, self.epoch + 1
        self.calls, self.probes = [], {}

    def enter(self, number: int, now: int) -> str:
        if self.state == "open" and now - self.since >= OPEN_FOR:
            self.turn("half_open", now)
        if self.state == "half_open":
            if sum(now - sent < LEASE for sent in self.probes.values()) >= self.policy.half_open_calls:
                return "refused"
            self.probes[number] = now
        return "refused" if self.state in ("open", "forced_open") else self.state

    def leave(self, number: int, epoch: int, succeeded: bool | None, now: int) -> None:
        self.probes.pop(number, None)
        if succeeded is None or epoch != self.epoch or self.state not in ("closed", "half_open"):
            return
        self.calls.append((now, succeeded))
        if self.state == "half_open":
            if not succeeded:
                self.turn("open", now)
            elif len(self.calls) >= self.policy.success_threshold:
                self.turn("closed", now)
            return
        recent = [good for time, good in self.calls if time > now - PERIOD]
        failures = recent.count(False)
        if self.policy.failure_ratio is None:
            if failures >= self.policy.threshold:
                self.turn("open", now)
        elif len(recent) >= self.policy.minimum_calls and failures >= self.policy.failure_ratio * len(recent):
            self.turn("open", now)


class Breaker(RuleBasedStateMachine):
    entries = Bundle("entries")

    @initialize(
        threshold=st.integers(1, 3),
        ratio=st.sampled_from([None, 0.3, 1.0]),
        minimum=st.integers(1, 3),
        permits=st.integers(1, 2),
        successes=st.integers(1, 3),
    )
    def begin(self, threshold, ratio, minimum, permits, successes):
        self.directory = tempfile.mkdtemp()
        self.store = open_store(None, self.directory)
        self.now = 1_700_000_000
        self.policy = Policy(
            threshold=threshold,
            failure_ratio=ratio,
            minimum_calls=minimum,
            period=PERIOD,
            open_for=OPEN_FOR,
            half_open_calls=permits,
            success_threshold=successes,
            probe_timeout=LEASE,
        )
        self.model = Model(self.policy)
        self.number = 0

    def circuit(self) -> Circuit:
        return Circuit(self.store, "api", self.policy, lambda: float(self.now))

    @rule(target=entries)
    def enter(self):
        self.number += 1
        expected = self.model.enter(self.number, self.now)
        if expected == "refused":
            with pytest.raises(CircuitOpen) as caught:
                self.circuit().enter()
            assert caught.value.state == self.model.state
            if self.model.state == "open":
                assert caught.value.retry_after == self.model.since + OPEN_FOR - self.now
            return None
        entry = self.circuit().enter()
        assert entry.state == expected
        return entry, self.number, self.model.epoch

    @rule(held=consumes(entries), succeeded=st.sampled_from([True, True, False, False, None]))
    def leave(self, held, succeeded):
        if held is None:
            return
        entry, number, epoch = held
        before = self.model.state
        self.model.leave(number, epoch, succeeded, self.now)
        transitions = self.circuit().leave(entry, succeeded)
        changed = [] if self.model.state == before else [(before, self.model.state)]
        assert [(each["from"], each["to"]) for each in transitions] == changed

    @rule(seconds=st.sampled_from([1, 2, LEASE, OPEN_FOR, PERIOD]))
    def wait(self, seconds):
        self.now += seconds

    # Now and then only: what is set by hand ends what the other rules have led to.
    @precondition(lambda self: self.number % 6 == 5)
    @rule(state=st.sampled_from(["closed", "closed", "forced_open", "disabled"]))
    def set_by_hand(self, state):
        set_circuits(self.store, [{"name": "api", "state": state}], False)
        if state != self.model.state:
            self.model.turn(state, self.now)
        elif state == "closed":
            self.model.calls = []

    @rule()
    def fail(self):
        """The whole way of a call that fails, so that circuits open often."""
        self.leave(self.enter(), False)

    @invariant()
    def all_agree(self):
        seen = self.circuit().peek()
        assert seen["state"] == self.model.state
        living = sum(self.now - sent < LEASE for sent in self.model.probes.values())
        assert seen["probes"] == living
        due = self.model.state == "open" and self.now - self.model.since >= OPEN_FOR
        permits = {"closed": None, "disabled": None, "forced_open": 0, "open": self.policy.half_open_calls * due}
        assert seen["permits"] == permits.get(self.model.state, max(self.policy.half_open_calls - living, 0))

    def teardown(self):
        if hasattr(self, "directory"):
            shutil.rmtree(self.directory)


TestBreaker = Breaker.TestCase
TestBreaker.settings = settings(max_examples=100, stateful_step_count=50)
