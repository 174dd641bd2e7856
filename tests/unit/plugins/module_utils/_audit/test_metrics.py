# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import re
import stat

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.metrics import (
    CLASSES,
    RUN_STATUSES,
    STATUSES,
    MetricsSink,
    Tally,
    module_class,
)

_SAMPLE = re.compile(r'(scripts_toolkit_[a-z_]+)(?:\{([a-z]+="[^"\\\n]*"(?:,[a-z]+="[^"\\\n]*")*)\})? (\d+(?:\.\d+)?)')


def parse(text):
    """Return {name: {labels: value}}, holding the text to the exposition format, version 0.0.4."""
    assert text.endswith("\n")
    samples, kinds, current = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            _hash, _help, current, told = line.split(" ", 3)
            assert told
            assert current not in kinds
        elif line.startswith("# TYPE "):
            _hash, _type, name, kind = line.split(" ")
            assert name == current
            kinds[name] = kind
        else:
            found = _SAMPLE.fullmatch(line)
            assert found, line
            name, labels, value = found.groups()
            base = re.sub(r"_(bucket|sum|count)$", "", name) if kinds[current] == "histogram" else name
            assert base == current
            assert (kinds[current] == "counter") == name.endswith("_total")
            assert labels not in samples.setdefault(name, {})
            samples[name][labels] = float(value)
    for name, kind in kinds.items():
        if kind == "histogram":
            buckets = list(samples[f"{name}_bucket"].values())
            assert buckets == sorted(buckets)
            assert buckets[-1] == samples[f"{name}_count"][None]
            assert list(samples[f"{name}_bucket"])[-1] == 'le="+Inf"'
    return samples


def end(run_id, status="success", seconds=5, second=1, **more):
    tally = Tally()
    tally.add("ansible.builtin", "ok", 40)
    tally.add("ansible.builtin", "changed", 3000)
    tally.add("other", "failed", None)
    details = {
        "status": status,
        "duration_ms": seconds * 1000,
        "totals": {"hosts": 2, "changed": 1, "failed": 1, "unreachable": 0},
        **tally.details(),
        **more,
    }
    return {"run_id": run_id, "timestamp": f"2026-01-02T03:04:{second:02}.500Z", "details": details}


@pytest.fixture
def sink(tmp_path):
    return MetricsSink(str(tmp_path), str(tmp_path / "metrics" / "x.prom"))


def published(sink, tmp_path):
    sink.publish()
    return parse((tmp_path / "metrics" / "x.prom").read_text(encoding="ascii"))


def test_counters_add_up_over_runs_and_survive_the_process(sink, tmp_path):
    sink.fold(end("a", second=1))
    again = MetricsSink(str(tmp_path), str(tmp_path / "metrics" / "x.prom"))
    again.fold(end("b", "failed", seconds=100, second=3, lost_events=2))
    again.fold(end("c", "interrupted", second=2))
    found = published(again, tmp_path)
    assert found["scripts_toolkit_runs_total"] == {
        'status="success"': 1,
        'status="failed"': 1,
        'status="unreachable"': 0,
        'status="interrupted"': 1,
    }
    results = found["scripts_toolkit_task_results_total"]
    assert results['collection="ansible.builtin",status="changed"'] == 3
    assert results['collection="other",status="failed"'] == 3
    assert len(results) == len(CLASSES) * len(STATUSES)
    assert len(found["scripts_toolkit_runs_total"]) == len(RUN_STATUSES)
    assert found["scripts_toolkit_run_duration_seconds_sum"][None] == 110
    assert found["scripts_toolkit_run_duration_seconds_bucket"]['le="60"'] == 2
    assert found["scripts_toolkit_task_duration_seconds_sum"][None] == 9.12
    assert found["scripts_toolkit_task_duration_seconds_count"][None] == 6
    assert found["scripts_toolkit_events_lost_total"][None] == 2
    # 2026-01-02T03:04:00Z is 1767323040
    assert found["scripts_toolkit_last_run_timestamp_seconds"][None] == 1767323043
    assert found["scripts_toolkit_last_success_timestamp_seconds"][None] == 1767323041


def test_a_bucket_holds_its_bound(sink, tmp_path):
    sink.fold(end("a", seconds=5))
    assert published(sink, tmp_path)["scripts_toolkit_run_duration_seconds_bucket"]['le="5"'] == 1


def test_the_same_run_counts_once(sink, tmp_path):
    sink.fold(end("a"))
    sink.fold(end("a"))
    assert published(sink, tmp_path)["scripts_toolkit_runs_total"]['status="success"'] == 1


def test_everybody_may_read_the_figures_and_nobody_the_state(sink, tmp_path):
    old = os.umask(0o077)
    try:
        sink.fold(end("a"))
        sink.publish()
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(tmp_path / "metrics" / "x.prom").st_mode) == 0o644
    assert stat.S_IMODE(os.stat(tmp_path / "metrics.json").st_mode) == 0o600


def test_unknown_words_make_no_labels(sink, tmp_path):
    odd = end("a", status="exploded")
    odd["details"]["results"] = {"evil.collection": {"ok": 1}, "other": {"odd": 1, "ok": 1}}
    odd["details"]["durations"] = {"bounds_ms": [1], "buckets": [1, 1], "sum_ms": 1}
    sink.fold(odd)
    found = published(sink, tmp_path)
    assert found["scripts_toolkit_runs_total"]['status="interrupted"'] == 1
    assert found["scripts_toolkit_task_results_total"]['collection="other",status="ok"'] == 1
    assert len(found["scripts_toolkit_task_results_total"]) == len(CLASSES) * len(STATUSES)


def test_a_damaged_state_is_set_aside(sink, tmp_path):
    (tmp_path / "metrics.json").write_text("{", encoding="ascii")
    sink.fold(end("a"))
    assert (tmp_path / "metrics.json.damaged").read_text(encoding="ascii") == "{"
    assert json.loads((tmp_path / "metrics.json").read_text(encoding="ascii"))["runs"] == {"success": 1}


def test_without_a_path_nothing_is_published(tmp_path):
    quiet = MetricsSink(str(tmp_path), None)
    quiet.fold(end("a"))
    quiet.publish()
    assert os.listdir(tmp_path) == ["metrics.json"]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("ansible.builtin.copy", "ansible.builtin"),
        ("ansible.legacy.command", "ansible.builtin"),
        ("copy", "ansible.builtin"),
        ("scripts.toolkit.services", "scripts.toolkit"),
        ("community.general.ufw", "other"),
    ],
)
def test_module_class(action, expected):
    assert module_class(action) == expected
