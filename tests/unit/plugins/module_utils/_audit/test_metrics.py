# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import re
import stat

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.metrics.counters import (
    GROUPS,
    MODULES,
    PLAYBOOKS,
    MetricsSink,
    Tally,
    load_counters,
    module_label,
    playbook_label,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.metrics.figures import RUN_STATUSES, STATUSES

_VALUE = r'"(?:[^"\\\n]|\\["\\n])*"'
_SAMPLE = re.compile(rf"(scripts_toolkit_[a-z_]+)(?:\{{([a-z]+={_VALUE}(?:,[a-z]+={_VALUE})*)\}})? (\d+(?:\.\d+)?)")
SITE = 'playbook="web/site.yml"'


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
    return samples


def end(run_id, status="success", seconds=5, second=1, script="/srv/web/site.yml", day=2, **more):
    tally = Tally()
    tally.add("ansible.builtin.copy", "ok", 40)
    tally.add("ansible.builtin.copy", "changed", 3000, ["web", "eu"])
    tally.add("community.general.ufw", "failed", None, ["web"])
    details = {
        "status": status,
        "duration_ms": seconds * 1000,
        "totals": {"hosts": 2, "changed": 1, "failed": 1, "unreachable": 0},
        **tally.details(),
        **more,
    }
    stamp = f"2026-01-{day:02}T03:04:{second:02}.500Z"
    return {"run_id": run_id, "timestamp": stamp, "script": script, "details": details}


@pytest.fixture
def sink(tmp_path):
    return MetricsSink(str(tmp_path), str(tmp_path / "metrics" / "x.prom"))


def published(sink, tmp_path):
    sink.publish()
    return parse((tmp_path / "metrics" / "x.prom").read_text(encoding="utf-8"))


def test_counters_add_up_over_runs_and_survive_the_process(sink, tmp_path):
    sink.fold(end("a", second=1))
    again = MetricsSink(str(tmp_path), str(tmp_path / "metrics" / "x.prom"))
    again.fold(end("b", "failed", seconds=100, second=3, lost_events=2))
    again.fold(end("c", "interrupted", second=2))
    again.fold(end("d", "success", script="/srv/db/site.yml"))
    found = published(again, tmp_path)
    runs = found["scripts_toolkit_runs_total"]
    assert {labels: count for labels, count in runs.items() if SITE in labels} == {
        f'{SITE},status="success"': 1,
        f'{SITE},status="failed"': 1,
        f'{SITE},status="unreachable"': 0,
        f'{SITE},status="interrupted"': 1,
    }
    assert runs['playbook="db/site.yml",status="success"'] == 1
    assert len(runs) == 2 * len(RUN_STATUSES)
    results = found["scripts_toolkit_task_results_total"]
    assert results['module="ansible.builtin.copy",status="changed"'] == 4
    assert results['module="community.general.ufw",status="failed"'] == 4
    assert len(results) == 2 * len(STATUSES)
    assert found["scripts_toolkit_task_seconds_total"]['module="ansible.builtin.copy"'] == 12.16
    groups = found["scripts_toolkit_group_task_results_total"]
    assert groups['group="web",status="failed"'] == 4
    assert groups['group="eu",status="changed"'] == 4
    assert groups['group="eu",status="failed"'] == 0
    assert found["scripts_toolkit_run_duration_seconds_sum"][SITE] == 110
    assert found["scripts_toolkit_run_duration_seconds_bucket"][f'{SITE},le="60"'] == 2
    assert found["scripts_toolkit_run_duration_seconds_bucket"][f'{SITE},le="+Inf"'] == 3
    assert found["scripts_toolkit_run_duration_seconds_count"][SITE] == 3
    assert found["scripts_toolkit_task_duration_seconds_sum"][None] == 12.16
    assert found["scripts_toolkit_task_duration_seconds_count"][None] == 8
    assert found["scripts_toolkit_events_lost_total"][None] == 2
    # 2026-01-02T03:04:00Z is 1767323040; b ended last, though c was folded after it.
    assert found["scripts_toolkit_last_run_timestamp_seconds"][SITE] == 1767323043
    assert found["scripts_toolkit_last_success_timestamp_seconds"][SITE] == 1767323041
    assert found["scripts_toolkit_last_run_duration_seconds"][SITE] == 100
    assert found["scripts_toolkit_last_run_changed"][SITE] == 1


def test_a_bucket_holds_its_bound(sink, tmp_path):
    sink.fold(end("a", seconds=5))
    buckets = published(sink, tmp_path)["scripts_toolkit_run_duration_seconds_bucket"]
    assert (buckets[f'{SITE},le="1"'], buckets[f'{SITE},le="5"']) == (0, 1)


def test_a_run_that_is_folded_again_counts_once(sink, tmp_path):
    for run_id in ("a", "b", "c", "a", "b"):
        sink.fold(end(run_id))
    assert published(sink, tmp_path)["scripts_toolkit_runs_total"][f'{SITE},status="success"'] == 3


def test_the_counters_can_be_rebuilt_from_the_last_records(sink, tmp_path):
    ends = [end(str(number), second=number) for number in range(9)]
    for one in ends:
        sink.fold(one)
    before = load_counters(str(tmp_path))
    sink.fold(end("stray"))
    assert sink.rebuild(iter(ends)) == 9
    assert load_counters(str(tmp_path)) == before


def test_everybody_may_read_the_figures_and_nobody_the_state(sink, tmp_path):
    old = os.umask(0o077)
    try:
        sink.fold(end("a"))
        sink.publish()
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(tmp_path / "metrics" / "x.prom").st_mode) == 0o644
    assert stat.S_IMODE(os.stat(tmp_path / "metrics.json").st_mode) == 0o600


def test_what_no_callback_wrote_counts_nothing(sink, tmp_path):
    odd = end("a", status="exploded", lost_events="many")
    odd["details"]["results"] = {"m": {"odd": 1, "ok": 1, "failed": -5, "changed": True}, "n": "x"}
    odd["details"]["durations"] = {"bounds_ms": [1], "buckets": [1, 1], "sum_ms": 1}
    odd["details"]["totals"] = None
    sink.fold(odd)
    found = published(sink, tmp_path)
    assert found["scripts_toolkit_runs_total"][f'{SITE},status="interrupted"'] == 1
    results = found["scripts_toolkit_task_results_total"]
    assert [labels for labels, count in results.items() if count] == ['module="m",status="ok"']
    assert found["scripts_toolkit_task_duration_seconds_count"][None] == 0
    assert found["scripts_toolkit_last_run_failed"][SITE] == 0


def many(run_id, day, names, key="results"):
    one = end(run_id, day=day)
    one["details"][key] = {name: {"ok": 1, "ms": 5} for name in names}
    return one


@pytest.mark.parametrize(("key", "table", "most"), [("results", "modules", MODULES), ("groups", "groups", GROUPS)])
def test_labels_are_bounded_and_the_rest_is_other(sink, tmp_path, key, table, most):
    sink.fold(many("a", 1, [f"x.y.m{number}" for number in range(200)], key))
    sink.fold(many("b", 2, ["x.y.late"], key))
    counts = {name: entry["ok"] for name, entry in load_counters(str(tmp_path))[table].items()}
    assert len(counts) == most + 1
    assert sum(counts.values()) == 201
    assert counts["other"] == 201 - most


def test_playbooks_are_bounded_and_those_not_seen_for_a_month_make_room(sink, tmp_path):
    for number in range(PLAYBOOKS):
        sink.fold(end(f"a{number}", day=2 if number else 1, script=f"/p/{number}.yml"))
    sink.fold(end("b", day=3, script="/p/late.yml"))
    before = published(sink, tmp_path)["scripts_toolkit_runs_total"]
    assert before['playbook="other",status="success"'] == 1
    assert len(before) == (PLAYBOOKS + 1) * len(RUN_STATUSES)
    month = end("c", script="/p/late.yml")
    month["timestamp"] = "2026-01-31T10:00:00.000Z"
    sink.fold(month)
    found = published(sink, tmp_path)
    after = found["scripts_toolkit_runs_total"]
    assert after['playbook="p/late.yml",status="success"'] == 1
    assert not [labels for labels in after if '"p/0.yml"' in labels]
    # What counted for the forgotten one counts for the rest: no counter goes down, no run gets lost.
    assert after['playbook="other",status="success"'] == 2
    assert sum(after.values()) == PLAYBOOKS + 2
    assert found["scripts_toolkit_run_duration_seconds_count"]['playbook="other"'] == 2


def test_one_run_keeps_its_record_small():
    tally = Tally()
    for number in range(5000):
        tally.add(f"namespace.collection.module{number}", "ok", 1, [f"group{number}"])
    details = tally.details()
    assert len(details["results"]) == len(details["groups"]) == 61
    assert sum(counts["ok"] for counts in details["results"].values()) == 5000
    assert details["results"]["other"]["ok"] == 4940
    assert details["durations"]["sum_ms"] == 5000
    assert len(json.dumps(details)) < 10000


def test_hostile_names_stay_labels(sink, tmp_path):
    tally = Tally()
    tally.add('evil"} 1\nscripts_toolkit_runs_total 99 \\', "ok", 1)
    sink.fold(end("a", script='/x/"} 9\n# TYPE y.yml', **tally.details()))
    found = published(sink, tmp_path)
    assert sum(found["scripts_toolkit_runs_total"].values()) == 1
    assert sum(found["scripts_toolkit_task_results_total"].values()) == 1
    text = (tmp_path / "metrics" / "x.prom").read_text(encoding="utf-8")
    assert 'module="evil\\"} 1?scripts_toolkit_runs_total 99 \\\\"' in text


def test_the_trail_its_verification_and_its_witnesses_are_told(sink, tmp_path):
    (tmp_path / "state.json").write_text('{"entries": 512}')
    (tmp_path / "audit.jsonl").write_bytes(b"x" * 100)
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / f"{0:020}.jsonl.gz").write_bytes(b"x" * 11)
    (tmp_path / "verification.json").write_text('{"time": "2026-01-02T03:04:00Z", "ok": true, "entries": 510}')
    (tmp_path / "witness").mkdir()
    state = {"witnessed": {"size": 500, "time": 7}, "pending": {"size": 512, "since": 9}}
    (tmp_path / "witness" / "journal.json").write_text(json.dumps(state))
    (tmp_path / "witness" / "odd.json").write_text("{")
    found = published(sink, tmp_path)
    assert found["scripts_toolkit_log_entries"][None] == 512
    assert found["scripts_toolkit_log_size_bytes"][None] == 111
    assert found["scripts_toolkit_verification_timestamp_seconds"][None] == 1767323040
    assert found["scripts_toolkit_verification_ok"][None] == 1
    assert found["scripts_toolkit_verification_entries"][None] == 510
    assert found["scripts_toolkit_witness_size"] == {'witness="journal"': 500}
    assert found["scripts_toolkit_witness_timestamp_seconds"] == {'witness="journal"': 7}
    assert found["scripts_toolkit_witness_pending_since_timestamp_seconds"] == {'witness="journal"': 9}
    (tmp_path / "verification.json").write_text('{"time": 5, "ok": false, "entries": null}')
    found = published(sink, tmp_path)
    assert found["scripts_toolkit_verification_ok"][None] == 0
    assert "scripts_toolkit_verification_entries" not in found


def test_a_damaged_state_is_set_aside(sink, tmp_path):
    (tmp_path / "metrics.json").write_text("{", encoding="ascii")
    sink.fold(end("a"))
    assert (tmp_path / "metrics.json.damaged").read_text(encoding="ascii") == "{"
    assert load_counters(str(tmp_path))["folded"] == ["a"]


def test_without_a_path_nothing_is_published(tmp_path):
    quiet = MetricsSink(str(tmp_path), None)
    quiet.fold(end("a"))
    quiet.publish()
    assert os.listdir(tmp_path) == ["metrics.json"]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("ansible.builtin.copy", "ansible.builtin.copy"),
        ("ansible.legacy.command", "ansible.builtin.command"),
        ("copy", "ansible.builtin.copy"),
        ("scripts.toolkit.services", "scripts.toolkit.services"),
    ],
)
def test_module_label(action, expected):
    assert module_label(action) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("/srv/web/site.yml", "web/site.yml"),
        ("/site.yml", "site.yml"),
        ("__adhoc_playbook__", "__adhoc_playbook__"),
        ("", "other"),
    ],
)
def test_playbook_label(script, expected):
    assert playbook_label(script) == expected
