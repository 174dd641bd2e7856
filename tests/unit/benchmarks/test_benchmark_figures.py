# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figures of benchmarks: medians, ratios, tables, and what is measured of a process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.tests.benchmarks import figures, measured

SECONDS = st.floats(min_value=0.001, max_value=1000)


def test_a_summary_has_the_median_and_the_extremes() -> None:
    summary = figures.summarize([3.0, 1.0, 10.0, 2.0])
    assert summary == {"median": 2.5, "min": 1.0, "max": 10.0, "n": 4}
    assert str(summary) == "2.50 (1.00 to 10.00)"


def test_nothing_measured_is_an_error() -> None:
    with pytest.raises(ValueError, match="Nothing was measured"):
        figures.summarize([])


def test_a_slow_hour_spoils_the_ratio_of_medians_but_not_that_of_pairs() -> None:
    ours, theirs = [1.0, 1.0, 4.0, 4.0, 4.0], [5.0, 5.0, 5.0, 20.0, 20.0]
    assert figures.ratio(theirs, ours) == 1.25
    assert figures.paired_ratio(theirs, ours) == 5.0


def test_runs_without_a_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="2 runs of theirs"):
        figures.paired_ratio([1.0, 2.0], [1.0])


@given(st.lists(SECONDS, min_size=1, max_size=9), st.floats(min_value=0.1, max_value=10))
def test_being_slower_by_a_factor_gives_that_factor(ours: list[float], factor: float) -> None:
    theirs = [factor * value for value in ours]
    assert figures.ratio(theirs, ours) == pytest.approx(factor)
    assert figures.paired_ratio(theirs, ours) == pytest.approx(factor)


def test_a_table_is_markdown_with_columns_of_one_width() -> None:
    assert figures.table(["who", "s"], [["ours", 7.5], ["the others", 10]]).splitlines() == [
        "| who        |   s |",
        "|------------|----:|",
        "| ours       | 7.5 |",
        "| the others |  10 |",
    ]


def test_the_processor_time_of_children_counts(tmp_path: Path) -> None:
    busy = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    parent = f"import subprocess, sys; print('begun', flush=True); subprocess.run([sys.executable, '-c', {busy!r}])"
    done = measured.run([sys.executable, "-c", parent], os.environ, tmp_path)
    assert (done.returncode, done.output) == (0, "begun\n")
    assert done.processor >= 0.3
    assert done.wall >= 0.3


def test_status_and_both_outputs_are_kept(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd()); sys.stdout.flush(); sys.exit(os.environ['WHY'])"
    done = measured.run([sys.executable, "-c", code], {"WHY": "because"}, tmp_path)
    assert (done.returncode, done.output) == (1, f"{tmp_path}\nbecause\n")


def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    done = measured.run([sys.executable, "-c", "import time; time.sleep(60)"], os.environ, tmp_path, limit=0.5)
    assert done.returncode == 124


def test_no_kept_connections_cost_nothing(tmp_path: Path) -> None:
    assert measured.end_masters(tmp_path / "none") == 0
    assert measured.end_masters(tmp_path) == 0
