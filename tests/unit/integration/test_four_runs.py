# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The four runs' judge finds every broken promise, and nothing else."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_PATH = Path(__file__).resolve().parents[2] / "integration" / "plugins" / "action" / "four_runs.py"
_SPEC = importlib.util.spec_from_file_location("four_runs", _PATH)
four_runs = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(four_runs)


def result(*flags: bool, diff: bool = True) -> dict:
    outcomes = [{"item": f"item{number}", "changed": flag} for number, flag in enumerate(flags)]
    return {"changed": any(flags), "outcomes": outcomes, "diff": [{"before": "a", "after": "b"}] if diff else []}


SAME = result(False, False, diff=False)


def runs(check: dict, run: dict, check_again: dict | None = None, run_again: dict | None = None) -> dict:
    return {"check": check, "run": run, "check_again": check_again or SAME, "run_again": run_again or SAME}


def test_kept_promises_pass() -> None:
    assert not four_runs.broken_promises(runs(result(True, False), result(True, False)), changes=True, diff=True)
    assert not four_runs.broken_promises(runs(SAME, SAME), changes=False, diff=True)


@pytest.mark.parametrize(
    ("results", "changes", "words"),
    [
        (runs(SAME, SAME), True, "should change something"),
        (runs(result(True), result(True)), False, "should not change something"),
        (runs(SAME, result(True, False)), True, "predicted changed=False"),
        (runs(result(True, False), result(False, True)), True, "Outcomes differ: predicted ('item0', True)"),
        (runs(result(True), result(True, False)), True, "1 outcomes predicted, 2 done"),
        (runs(result(True), result(True, diff=False)), True, "run changed something but shows no diff"),
        (runs(result(True, diff=False), result(True)), True, "check changed something but shows no diff"),
        (runs(result(True), result(True), check_again=result(True)), True, "check_again should change nothing"),
        (runs(result(True), result(True), run_again=result(False, True)), True, "but changed item1"),
    ],
)
def test_a_broken_promise_is_found(results: dict, changes: bool, words: str) -> None:
    assert words in " ".join(four_runs.broken_promises(results, changes=changes, diff=True))


def test_a_missing_diff_may_be_allowed() -> None:
    results = runs(result(True, diff=False), result(True, diff=False))
    assert not four_runs.broken_promises(results, changes=True, diff=False)
