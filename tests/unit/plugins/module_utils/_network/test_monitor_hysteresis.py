# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When alerts fire and clear: against a model that looks at all rounds each time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._network.monitor.hysteresis import (
    Standing,
    Thresholds,
    step,
    tell,
)


@st.composite
def thresholds(draw) -> Thresholds:
    failures = draw(st.integers(1, 5))
    return Thresholds(failures, draw(st.integers(failures, 8)), draw(st.integers(1, 5)))


def states(rounds: list[bool], wanted: Thresholds) -> list[bool]:
    standing, seen = Standing(), []
    for now, failed in enumerate(rounds):
        standing = step(standing, failed, wanted, now)
        seen.append(standing.alerting)
    return seen


def model(rounds: list[bool], wanted: Thresholds) -> list[bool]:
    """The definition, with all of the past at hand: counted anew from the last recovery, or from the alert."""
    alerting, begin, seen = False, 0, []
    for now in range(len(rounds)):
        past = rounds[begin : now + 1]
        if not alerting and past[-wanted.window :].count(True) >= wanted.failures:
            alerting, begin = True, now + 1
        elif alerting and len(past) >= wanted.successes and not any(past[-wanted.successes :]):
            alerting, begin = False, now + 1
        seen.append(alerting)
    return seen


@given(st.lists(st.booleans(), max_size=60), thresholds())
def test_it_does_what_the_definition_says(rounds: list[bool], wanted: Thresholds) -> None:
    assert states(rounds, wanted) == model(rounds, wanted)


@given(st.integers(1, 50), st.integers(1, 50))
def test_it_fires_at_exactly_the_nth_failure_in_a_row_and_clears_at_the_kth_success(
    failures: int, successes: int
) -> None:
    wanted = Thresholds(failures, failures, successes)
    seen = states([True] * failures + [False] * successes, wanted)
    assert seen == [False] * (failures - 1) + [True] * successes + [False]


@given(st.integers(2, 10), st.integers(1, 5))
def test_one_success_less_in_between_and_it_does_not_fire_or_clear(failures: int, successes: int) -> None:
    wanted = Thresholds(failures, failures, successes + 1)
    assert not any(states(([True] * (failures - 1) + [False]) * 3, wanted))
    assert all(states([True] * failures + ([False] * successes + [True]) * 3, wanted)[failures - 1 :])


def test_n_of_m_fires_although_successes_lie_between() -> None:
    assert states([True, False, True, False, True], Thresholds(3, 5, 2)) == [False] * 4 + [True]
    assert not any(states([True, False, False, True, False, False, True], Thresholds(3, 5, 2)))


@given(st.lists(st.booleans(), max_size=60), thresholds())
def test_what_is_remembered_stays_small(rounds: list[bool], wanted: Thresholds) -> None:
    standing = Standing()
    for failed in rounds:
        standing = step(standing, failed, wanted, 0)
        assert len(standing.recent) <= max(wanted.window, wanted.successes)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60), thresholds())
def test_who_listens_hears_alerts_and_recoveries_in_turn_and_the_truth_whenever_it_is_not_silent(
    rounds, wanted
) -> None:
    standing, heard = Standing(), []
    for failed, silenced in rounds:
        standing, kind = tell(step(standing, failed, wanted, 0), silenced)
        if kind:
            heard.append(kind)
            assert not silenced
        if not silenced:
            assert (heard[-1:] == ["alert"]) == standing.alerting
    assert heard == (["alert", "recovery"] * len(heard))[: len(heard)]


@pytest.mark.parametrize("failed", [True, False])
def test_lower_thresholds_fire_with_the_next_failure_only(failed: bool) -> None:
    standing = Standing(recent="FFF")
    assert step(standing, failed, Thresholds(2, 4, 1), 7).alerting is failed
