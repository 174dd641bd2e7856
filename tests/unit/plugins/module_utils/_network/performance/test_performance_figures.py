# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Figures of series of times."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._network.performance.figures import distribution, jitter

times = st.lists(st.floats(0.001, 10000).map(lambda value: round(value, 3)), min_size=1, max_size=300)


@given(times)
def test_they_are_those_of_the_standard_library(series):
    found = distribution(series)
    assert (found["min"], found["max"]) == (min(series), max(series))
    assert found["mean"] == pytest.approx(statistics.fmean(series), abs=0.001)
    assert found["median"] == statistics.median_low(series)
    assert found["stddev"] == pytest.approx(statistics.pstdev(series), abs=0.001)


@given(times)
def test_a_percentile_is_the_least_time_that_so_many_do_not_exceed(series):
    found = distribution(series)
    for percent, value in ((95, found["p95"]), (99, found["p99"])):
        assert value in series
        assert sum(one <= value for one in series) * 100 >= percent * len(series)
        assert sum(one < value for one in series) * 100 < percent * len(series)


def test_of_a_hundred_times():
    found = distribution([float(number) for number in range(100, 0, -1)])
    assert (found["median"], found["p95"], found["p99"]) == (50.0, 95.0, 99.0)


def test_without_answers_there_are_no_figures():
    assert distribution([]) is None
    assert jitter([]) is None
    assert jitter([1.0]) is None


def test_jitter_moves_by_a_sixteenth_of_each_difference():
    """RFC 3550, 6.4.1: J(i) = J(i-1) + (|D(i-1,i)| - J(i-1)) / 16."""
    assert jitter([10.0, 26.0]) == 1.0
    assert jitter([10.0, 26.0, 10.0]) == pytest.approx(1 + (16 - 1) / 16, abs=0.001)
    assert jitter([5.0] * 100) == 0.0


@given(times.filter(lambda series: len(series) > 1))
def test_jitter_stays_below_the_largest_difference(series):
    assert 0 <= jitter(series) <= max(abs(after - before) for before, after in zip(series, series[1:])) + 0.001
