# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a report, a comparison and a profile tell, on trails whose content is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from index_trail import Trail, at

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.compare import compare_runs
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.profile import build_profile, percentile
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.query import Filters, filters_of
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.report import (
    build_report,
    report_markdown,
    report_text,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import NotFoundError

HOSTILE = "\x1b]0;owned\x07<script>alert(1)</script> | [x](javascript:1) `a`\n# big"


@pytest.fixture
def trail(tmp_path):
    return Trail(tmp_path)


def test_a_report_counts_what_happened_in_its_period(trail, monkeypatch):
    clock = at(monkeypatch, 1_700_000_000_000)
    trail.run({"host": "web1", "status": "failed"}, status="failed", script="/srv/old.yml")
    clock.milliseconds += 86_400_000
    for number in range(4):
        run = trail.start(user="bob" if number else "alice", script="/srv/site.yml")
        run.task(host="web1", status="changed")
        run.task(host="web2", status="failed" if number == 3 else "ok", msg=HOSTILE)
        run.event("FILE_MODIFICATION", host="web1", path="/etc/motd", operation="MODIFY")
        run.event("FILE_MODIFICATION", host="web1", path=f"/etc/new{number}", operation="CREATE")
        run.event("SENSITIVE_ACCESS", host="web1", reason="become", access="EXECUTE", task="Do it", become_user="root")
        run.end("failed" if number == 3 else "success")
    killed = trail.start(script="/srv/killed.yml")
    killed.abandon()
    trail.integrate()
    with trail.index() as index:
        report = build_report(index, filters_of({"since": "2023-11-15", "controller": "ctl01"}), top=3)
        assert report["runs"] == {
            "started": 5,
            "ended": 5,
            "statuses": {"success": 3, "failed": 1, "interrupted": 1},
            "success_rate": 0.6,
            "seconds": 6.0,
        }
        assert report["results"] == {"changed": 4, "ok": 3, "failed": 1}
        assert [(entry["name"], entry["runs"], entry["success_rate"]) for entry in report["scripts"]] == [
            ("/srv/site.yml", 4, 0.75),
            ("/srv/killed.yml", 1, 0.0),
        ]
        assert [(entry["name"], entry["runs"]) for entry in report["users"]] == [("bob", 3), ("alice", 2)]
        assert report["failures"]["total"] == 1
        assert report["failures"]["hosts"] == [{"name": "web2", "count": 1}]
        assert report["files"]["operations"] == {"MODIFY": 4, "CREATE": 4}
        assert report["files"]["paths"][0] == {"name": "/etc/motd", "count": 4}
        assert len(report["files"]["paths"]) == 3
        assert report["sensitive"]["kinds"] == [{"name": "become EXECUTE", "count": 4}]
        assert report["period"]["first"].startswith("2023-11-15")
        for text in (report_text(report, 100), report_markdown(report)):
            assert "/srv/site" in text.replace("\\", "")
            assert "60.0%" in text.replace("\\", "")
            assert not {"\x1b", "\x07"} & set(text)
        assert "<script>" not in report_markdown(report)
        assert "[x](" not in report_markdown(report)
        assert not [line for line in report_markdown(report).splitlines() if line.startswith("# big")]


def test_a_report_on_nothing(trail):
    trail.run({"host": "web1"})
    with trail.index() as index:
        report = build_report(index, filters_of({"until": "2020-01-01"}))
        assert report["entries"] == 0
        assert report["runs"]["success_rate"] is None
        assert "no run ended" in report_text(report)
        assert "2020" in report_markdown(report)


def test_a_comparison_tells_what_differs_and_nothing_else(trail):
    def run(second):
        living = trail.start(user="bob" if second else "alice")
        living.event("EXECUTION_START", check=second, versions={"core": "2.21" if second else "2.20"}, same=1)
        for host in ("web1", "web2"):
            living.task(host=host, task="Same", duration_ms=10)
            living.task(host=host, task="Twice")
            living.task(host=host, task="Twice", status="changed" if second and host == "web2" else "ok")
            living.task(host=host, task="Slow", duration_ms=5000 if second else 900)
            living.task(host=host, task="Loop", item=f"only {second}")
        living.event("FILE_MODIFICATION", host="web1", path="/etc/same", operation="MODIFY", sha256_after="ab")
        living.event("FILE_MODIFICATION", host="web1", path="/etc/a", operation="MODIFY", sha256_after=str(second))
        if second:
            living.event("FILE_MODIFICATION", host="web1", path="/etc/b", operation="CREATE")
        living.end()
        trail.integrate()
        return living.run_id

    first, second = run(False), run(True)
    with trail.index() as index:
        found = compare_runs(index, first, second)
        same = compare_runs(index, first, first)
        short = compare_runs(index, first, second, limit=1)
    assert found["start"] == {"user": ["alice", "bob"], "check": [False, True], "versions.core": ["2.20", "2.21"]}
    assert [(entry["host"], entry["task"], entry["first"], entry["second"]) for entry in found["status"]] == [
        ("web2", "Twice", "ok", "changed")
    ]
    assert [entry["item"] for entry in found["only_first"]] == ["only False"] * 2
    assert [entry["item"] for entry in found["only_second"]] == ["only True"] * 2
    assert [(entry["path"], entry["first"], entry["second"]) for entry in found["files"]] == [
        ("/etc/a", {"operation": "MODIFY", "sha256_after": "False"}, {"operation": "MODIFY", "sha256_after": "True"}),
        ("/etc/b", None, {"operation": "CREATE"}),
    ]
    assert [entry["host"] for entry in found["slower"]] == ["web1", "web2"]
    assert same["totals"] == {"only_first": 0, "only_second": 0, "status": 0, "slower": 0, "files": 0}
    assert same["start"] == {}
    assert short["totals"] == found["totals"]
    assert len(short["files"]) == len(short["slower"]) == 1


def test_a_profile_says_where_the_time_went(trail):
    tasks = [{"host": f"web{number}", "task": "Slow", "task_id": "a", "role": "nginx", "duration_ms": number * 100}
             for number in range(1, 21)]  # fmt: skip
    tasks += [{"host": "web1", "task": "Fast", "task_id": "b", "module": "x.y.z", "duration_ms": 5,
               "task_path": "/srv/roles/php/tasks/main.yml:3"}]  # fmt: skip
    tasks += [{"host": "web1", "task": "Loop", "item": "no duration"}]
    run = trail.run(*tasks, end={"duration_ms": 2500})
    with trail.index() as index:
        found = build_profile(index, run, top=2)
    assert (found["results"], found["total_ms"], found["duration_ms"], found["status"]) == (21, 21005, 2500, "success")
    slow = found["tasks"][0]
    assert (slow["name"], slow["role"], slow["results"]) == ("Slow", "nginx", 20)
    assert (slow["total_ms"], slow["mean_ms"], slow["p95_ms"], slow["max_ms"]) == (21000, 1050, 1900, 2000)
    assert slow["slowest_host"] == "web20"
    assert [row["name"] for row in found["roles"]] == ["nginx", "php"]
    assert [row["name"] for row in found["hosts"]] == ["web20", "web19"]
    assert [row["name"] for row in found["modules"]] == ["ansible.builtin.command", "x.y.z"]
    assert sum(row["share"] for row in found["modules"]) == pytest.approx(1, abs=0.001)


@given(st.lists(st.integers(0, 1000), min_size=1), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values, share):
    found = percentile(sorted(values), share)
    assert found in values
    assert sum(1 for value in values if value <= found) >= share * len(values)
    below = [value for value in values if value < found]
    assert len(below) < share * len(values)


def test_runs_that_are_not_there_are_named(trail):
    trail.run({"host": "web1"})
    with trail.index() as index:
        with pytest.raises(NotFoundError):
            index.run("last~5")
        with pytest.raises(NotFoundError):
            index.count(Filters({"run": ("last~7",)}))
