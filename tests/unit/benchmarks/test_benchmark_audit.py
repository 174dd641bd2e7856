# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The benchmark of the audit trail: its playbooks, its receiver, how recorders are switched on, and its tables."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.tests.benchmarks.audit import captured, others, tables, whole

PORTS = {"otel": 4318, "ara": 8000, "dead": 9}


def test_the_playbook_gives_so_many_results(tmp_path: Path) -> None:
    _option, inventory, play = whole.playbook(tmp_path, 7, 9)
    (loaded,) = json.loads(Path(play).read_text(encoding="utf-8"))
    assert len(Path(inventory).read_text(encoding="utf-8").splitlines()) * len(loaded["tasks"]) == 63


@pytest.mark.parametrize("name", others.LABELS)
def test_every_recorder_is_switched_on_by_the_environment_alone(name: str, tmp_path: Path) -> None:
    found = others.environment_of(name, tmp_path / "bin", tmp_path, PORTS)
    switches = {"ANSIBLE_CALLBACKS_ENABLED", "ANSIBLE_STDOUT_CALLBACK"} & set(found)
    assert len(switches) == (0 if name in ("none", "default", "bare") else 1)
    assert all(isinstance(value, str) for value in found.values())


def test_the_dead_receiver_is_another_one_than_the_living(tmp_path: Path) -> None:
    live, dead = (others.environment_of(name, tmp_path, tmp_path, PORTS) for name in ("otel_live", "otel_dead"))
    assert live["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4318"
    assert dead["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:9"


def test_the_receiver_takes_every_export_and_its_time_can_be_told(tmp_path: Path) -> None:
    with others.serve("otel", Path(sys.executable).parent, tmp_path) as (port, process):
        before = others.server_seconds(process)
        for body in (b"", b"x" * 100_000):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/traces", data=body, method="POST")
            with urllib.request.urlopen(request, timeout=20) as answer:
                assert (answer.status, answer.read()) == (200, b"")
        assert others.server_seconds(process) >= before
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)


def test_an_environment_without_the_peers_leaves_them_out_and_says_so(tmp_path: Path) -> None:
    programs, absent = others.find_environment(tmp_path, tmp_path / "default", print)
    assert programs == Path(sys.executable).parent
    assert set(absent) == set(others.LABELS) - {"none", "default", "ours", "bare"}
    assert str(tmp_path) in absent["ara_offline"]


def test_costs_are_sorted_and_compared_with_ours() -> None:
    def run(per_result: float) -> dict:
        return {"per_result": per_result, "start": 1500.0, "end": 500.0}

    found = {"ara_http": [run(900.0), run(1000.0)], "ours": [run(100.0), run(100.0)], "bare": [run(50.0), run(70.0)]}
    lines = tables.callback(found, "a run").splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        others.LABELS[n] for n in ("bare", "ours", "ara_http")
    ]
    assert [line.split("|")[3].strip() for line in lines[2:]] == ["0.60", "1.00", "9.50"]
    assert lines[2].split("|")[4].strip() == "2.0"


def test_each_recorder_is_as_often_at_each_place() -> None:
    orders = [captured.in_turn(["ours", "bare", "log_plays"], number) for number in range(600)]
    for place in range(3):
        assert Counter(order[place] for order in orders) == {"ours": 200, "bare": 200, "log_plays": 200}
    neighbours = Counter(pair for order in orders for pair in pairwise(order))
    assert len(neighbours) == 6
    assert set(neighbours.values()) == {200}
    assert captured.in_turn([], 7) == []


def test_whole_runs_are_compared_pair_by_pair_with_the_server_in_it() -> None:
    def run(processor: float, server: float = 0.0) -> dict:
        return {"wall": processor / 2, "processor": processor, "server": server, "results": 1000}

    found = {"none": [run(20.0), run(10.0)], "ara_http": [run(30.0, 10.0), run(15.0, 5.0)]}
    cells = [cell.strip() for cell in tables.whole(found).splitlines()[3].split("|")]
    assert cells[4] == "2.00"
    assert cells[6] == "15,000"


def test_nested_figures_become_lines() -> None:
    found = {"append": {"events_per_second": 12345, "processes": [1, 20]}, "durable": True, "ratio": 1.5}
    assert list(tables.flat(found)) == [
        ("append.events_per_second", "12,345"),
        ("append.processes.0", "1"),
        ("append.processes.1", "20"),
        ("durable", True),
        ("ratio", "1.50"),
    ]


def test_benchmarks_are_chosen_by_name(collection_root: Path) -> None:
    program = [sys.executable, str(collection_root / "tests" / "benchmarks" / "run.py"), "--rounds", "3"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "audit or provision" in done.stderr


def test_promises_are_held_or_missed() -> None:
    def runs(per_result: float) -> list[dict]:
        return [{"per_result": per_result, "start": 0, "end": 0}]

    in_the_run = {"ours": runs(300.0), "bare": runs(100.0), "log_plays": runs(400.0)}
    shown = tables.promises({"callback": {"in_the_run": in_the_run}}).splitlines()[2:]
    assert [line.split("|")[-2].strip() for line in shown] == ["held", "MISSED", "held"]
    ara = {"ours": runs(90.0), "ara_offline": runs(9000.0)}
    assert "held" in tables.promises({"callback": {"replayed_ara": ara}})
    appended = [
        {"asked": 10_000, "processes": 1, "worst_ms": 201},
        {"asked": "most", "processes": 20, "events_per_second": 5_000},
    ]
    assert [line.split("|")[-2].strip() for line in tables.promises({"append": appended}).splitlines()[2:]] == [
        "MISSED",
        "held",
    ]
    searches = {"a": {"ms": 3.0, "times_faster_than_jq": 99}, "b": {"ms": 101.0, "times_faster_than_jq": 5000}}
    index = {"index": {"entries_per_second": 15_000, "searches": searches}}
    assert [line.split("|")[-2].strip() for line in tables.promises(index).splitlines()[2:]] == [
        "held",
        "MISSED",
        "MISSED",
    ]
    assert tables.promises({}) == ""


def test_figures_replace_what_stood_between_the_markers(collection_root: Path) -> None:
    page = f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n"
    once = tables.put(page, "new")
    assert once == f"before\n{tables.BEGIN}\n\nnew\n\n{tables.END}\nafter\n"
    assert tables.put(once, "new") == once
    with pytest.raises(ValueError, match="no markers"):
        tables.put("no figures", "new")
    assert tables.BEGIN in (collection_root / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def test_parts_that_are_not_measured_again_are_kept_with_their_run() -> None:
    same = {"machine": {"cores": 2, "processor": "x", "memory_gib": 8, "kernel": "6"}, "versions": {"python": "3.13"},
            "left_out": {}, "failed": {}}  # fmt: skip

    def verify(entries: int) -> dict:
        return {"entries": entries, "hashing_only_per_second": 9, "parsing_per_second": 9}

    def run(date: str, *parts: str) -> list[dict]:
        return [{"date": date, "load": 0.1, "seconds": dict.fromkeys(parts, 9), "command": f"make {date}"}]

    before = {
        **same,
        "verify": verify(1),
        "memory": {"resident_mib": {"0": 1}},
        "runs": run("d1", "verify", "memory"),
    }
    again = {**same, "verify": verify(2), "runs": run("d2", "verify")}
    both = tables.joined(before, again)
    assert (both["verify"]["entries"], both["memory"]["resident_mib"]) == (2, {"0": 1})
    assert [(run["date"], set(run["seconds"])) for run in both["runs"]] == [("d1", {"memory"}), ("d2", {"verify"})]
    assert tables.report(both).splitlines()[-3:] == [
        "d1: make d1; load at the end 0.1. Seconds: memory 9",
        "",
        "d2: make d2; load at the end 0.1. Seconds: verify 9",
    ]
    assert tables.joined(both, again)["runs"] == both["runs"]
    with pytest.raises(ValueError, match="of another versions"):
        tables.joined(before, {**again, "versions": {"python": "3.14"}})


def test_figures_of_one_kind_stand_in_rows() -> None:
    lines = tables.of_rows("append", [{"asked": "most", "rate": 12000}, {"asked": 5000, "rate": 4999}]).splitlines()
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in (lines[0], *lines[2:])] == [
        ["append: asked", "rate"],
        ["most", "12,000"],
        ["5,000", "4,999"],
    ]
