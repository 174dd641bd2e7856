# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
from dataclasses import asdict

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.filter.backoff_delays import _backoff_delays
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.backoff import JITTERS, Backoff

policies = st.builds(
    lambda attempts, initial, multiplier, more, jitter: Backoff(attempts, initial, multiplier, initial + more, jitter),
    st.integers(1, 60),
    st.floats(0, 100),
    st.floats(1, 1e6),
    st.floats(0, 1e5),
    st.sampled_from(JITTERS),
)


def test_without_jitter_it_grows_to_the_longest_delay() -> None:
    assert list(Backoff(6, 1.0, 2.0, 10.0, "none").delays()) == [1, 2, 4, 8, 10]
    assert list(Backoff(4, 3.0, 1.0, 60.0, "none").delays()) == [3, 3, 3]
    assert list(Backoff(1).delays()) == []


@given(policies, st.integers())
def test_every_wait_lies_within_its_bounds(policy: Backoff, seed: int) -> None:
    waits = list(policy.delays(random.Random(seed)))
    bounds = policy.bounds()
    assert len(waits) == len(bounds) == policy.attempts - 1
    for wait, (least, most) in zip(waits, bounds, strict=True):
        assert least - 1e-9 <= wait <= most + 1e-9
        assert wait <= policy.max_delay


@pytest.mark.parametrize(("jitter", "least"), [("full", 0.0), ("equal", 0.5)])
def test_jitter_fills_its_range_evenly(jitter: str, least: float) -> None:
    chance = random.Random(4711)
    policy = Backoff(2, 1.0, 2.0, 60.0, jitter)
    waits = sorted(next(policy.delays(chance)) for _time in range(4000))
    quarters = [waits[len(waits) * part // 4] for part in (1, 2, 3)]
    for found, part in zip(quarters, (0.25, 0.5, 0.75), strict=True):
        assert abs(found - (least + (1 - least) * part)) < 0.05


def test_decorrelated_waits_depend_on_the_last_one() -> None:
    policy = Backoff(50, 1.0, 2.0, 30.0, "decorrelated")
    last = policy.initial_delay
    for wait in policy.delays(random.Random(7)):
        assert 1.0 <= wait <= min(30.0, last * 3)
        last = wait


def test_the_source_of_chance_is_the_systems_own() -> None:
    policy = Backoff(6, 1.0, 2.0, 60.0, "full")
    assert len({tuple(policy.delays()) for _time in range(20)}) == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attempts": 0}, r"retry\.attempts is 0"),
        ({"attempts": 10_001}, r"from 1 to 10,000"),
        ({"initial_delay": -1.0}, r"retry\.initial_delay is -1; it must be not negative"),
        ({"max_delay": float("inf")}, r"retry\.max_delay is inf"),
        ({"max_delay": float("nan")}, r"retry\.max_delay is nan"),
        ({"multiplier": 0.5}, r"retry\.multiplier is 0\.5; it must be 1 or more"),
        ({"initial_delay": 90.0}, r"retry\.max_delay \(60\) is shorter than retry\.initial_delay \(90\)"),
    ],
)
def test_what_makes_no_sense_is_named(change: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Backoff.from_options({**asdict(Backoff()), **change})


def test_the_filter_lists_delays() -> None:
    assert _backoff_delays({"attempts": 4, "jitter": "none"}) == [1.0, 2.0, 4.0]
    spread = _backoff_delays({"attempts": 4}, seed="web01")
    assert spread == _backoff_delays({"attempts": 4}, seed="web01") != _backoff_delays({"attempts": 4}, seed="web02")


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("5", "give a mapping"),
        ({"attempt": 5}, "attempt"),
        ({"attempts": "many"}, "many"),
        ({"jitter": "some"}, "none, full, equal, decorrelated"),
        ({"attempts": 0}, "^backoff_delays: attempts is 0"),
    ],
)
def test_the_filter_says_what_it_does_not_understand(policy: object, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        _backoff_delays(policy)
