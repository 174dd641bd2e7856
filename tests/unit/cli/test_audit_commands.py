# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands on the audit trail that search, show, follow, report, compare, profile and export."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import unicodedata

import pytest

from ansible_collections.scripts.toolkit import cli
from ansible_collections.scripts.toolkit.cli.output import ProgressBar
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.follow import Follower, follow
from ansible_collections.scripts.toolkit.tests.unit.plugins.module_utils._audit.index_trail import Trail, salts

COMMAND = [sys.executable, "-m", "ansible_collections.scripts.toolkit.cli", "audit"]
HOSTILE = "\x1b]0;owned\x07=cmd|'/C calc'!A0 <b>\u202e"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    trail = Trail(tmp_path_factory.mktemp("recorded"))
    trail.run(
        {"host": "web1", "duration_ms": 5}, {"host": "web2", "status": "failed", "msg": "disk full"}, status="failed"
    )
    run = trail.start(user="bob", script="/srv/=cmd.yml")
    run.task(host="web1", status="changed", task="=1+1", msg=HOSTILE, path=HOSTILE, duration_ms=700)
    run.event("FILE_MODIFICATION", host="web1", path="/etc/motd", operation="CREATE")
    run.event("SENSITIVE_ACCESS", host="web1", reason="become", access="EXECUTE", become_user="root", task=HOSTILE)
    run.end(hosts={"web1": {"ok": 1}, HOSTILE: {"failures": 1}})
    trail.integrate()
    return trail


@pytest.fixture
def trail(recorded, tmp_path):
    """A trail of its own for every test, with the same two runs."""
    shutil.copytree(recorded.directory, tmp_path / "audit")
    return Trail(tmp_path / "audit")


@pytest.fixture
def run(trail, capsys, monkeypatch):
    monkeypatch.setenv("SCRIPTS_TOOLKIT_AUDIT_LOG_DIRECTORY", str(trail.directory))

    def call(*argv, code=0):
        assert cli.main(["audit", *argv]) == code
        shown = capsys.readouterr()
        return shown.err if code else shown.out

    return call


def test_a_search_prints_a_table_json_lines_or_csv(run, trail):
    shown = run("search", "--status", "failed", "--event", "TASK_RESULT").splitlines()
    assert len(shown) == 2
    assert shown[0].split() == ["TIME", "EVENT", "STATUS", "HOST", "USER", "RUN", "WHAT"]
    assert shown[1].split()[2:6] == ["TASK_RESULT", "failed", "web2", "alice"]
    assert shown[1].endswith("Do it: disk full")
    found = json.loads(run("search", "disk", "--json"))
    assert [entry["details"]["host"] for entry in found["entries"]] == ["web2"]
    assert found["cursor"] is None
    lines = [json.loads(line) for line in run("search", "--format", "jsonl", "--oldest-first", "--all").splitlines()]
    assert salts(lines) == salts(trail.log())
    rows = list(csv.DictReader(io.StringIO(run("search", "--format", "csv", "--user", "bob"))))
    assert [row["event_type"] for row in rows][::-1] == [
        "EXECUTION_START", "TASK_RESULT", "FILE_MODIFICATION", "SENSITIVE_ACCESS", "EXECUTION_END"]  # fmt: skip


def test_pages_and_counts(run):
    first = json.loads(run("search", "--limit", "3", "--json"))
    second = json.loads(run("search", "--limit", "100", "--cursor", first["cursor"], "--json"))
    everything = json.loads(run("search", "--all", "--json"))
    assert first["entries"] + second["entries"] == everything["entries"]
    assert run("search", "--count").strip() == str(len(everything["entries"]))
    assert json.loads(run("search", "--count", "--where", "rc == `9`", "--json")) == {"count": 0}
    assert run("search", "--count", "--where", "status == 'failed'", "--event", "TASK_RESULT") == "1\n"


@pytest.mark.parametrize(
    "argv",
    [
        ["search"],
        ["search", "--format", "csv"],
        ["search", "--json"],
        ["search", "--all", "--format", "jsonl"],
        ["show"],
        ["show", "last", "--format", "csv"],
        ["tail"],
        ["report"],
        ["report", "--format", "markdown"],
        ["report", "--json"],
        ["diff", "last~1"],
        ["diff", "last~1", "last", "--format", "markdown"],
        ["profile"],
        ["profile", "--format", "markdown"],
        ["export", "--format", "ecs"],
        ["export", "--format", "ocsf"],
        ["export", "--format", "jsonl"],
    ],
    ids=" ".join,
)
def test_nothing_recorded_does_anything_where_it_is_printed(run, argv):
    shown = run(*argv)
    assert not [character for character in shown if unicodedata.category(character)[0] == "C" and character != "\n"]
    if "csv" in argv:
        for row in csv.reader(io.StringIO(shown)):
            assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@"))]
    if "markdown" in argv:
        assert "<b>" not in shown


def test_show_tells_the_run_and_its_hosts(run, trail):
    shown = run("show", "last~1")
    assert "user     alice on ctl01 in /srv" in shown
    assert "failed 1.5 s" in shown
    assert shown.count("TASK_RESULT") == 2
    assert "HOST" in run("show")
    assert len(json.loads(run("show", "--json"))["entries"]) == 5
    living = trail.start()
    assert "(not yet)" in run("show", living.run_id[-10:])
    living.end()


def test_report_diff_and_profile_give_json(run):
    assert json.loads(run("report", "--json"))["runs"]["ended"] == 2
    assert json.loads(run("report", "--json", "--user", "bob", "--top", "1"))["events"]["TASK_RESULT"] == 1
    assert json.loads(run("diff", "last~1", "--json"))["totals"]["only_first"] == 2
    assert json.loads(run("profile", "--json"))["tasks"][0]["max_ms"] == 700
    assert "Most run scripts" in run("report")


def test_export_writes_whole_files_only(run, trail, tmp_path):
    target = tmp_path / "audit.ndjson"
    run("export", "--format", "ecs", "--output", str(target), "--event", "TASK_RESULT")
    assert [json.loads(line)["event"]["action"] for line in target.read_text().splitlines()] == ["task_result"] * 3
    assert os.stat(target).st_mode & 0o777 == 0o600
    exported = run("export", "--format", "ocsf", "--run", "last").splitlines()
    assert [json.loads(line)["class_uid"] for line in exported] == [1007, 6003, 1001, 6003, 1007]
    assert "no such file" in run("export", "--format", "ecs", "--output", str(tmp_path / "no" / "x"), code=1).lower()
    assert os.listdir(tmp_path) == ["audit", "audit.ndjson"] or sorted(os.listdir(tmp_path)) == [
        "audit",
        "audit.ndjson",
    ]
    assert "Name it with --output" in run("export", "--format", "tlog-tiles", code=1)


@pytest.mark.parametrize(
    "argv",
    [
        ["search", "--since", "soon"],
        ["search", "--limit", "0"],
        ["search", "--cursor", "%"],
        ["search", "--where", "a =="],
        ["search", "..."],
        ["show", "nothing"],
        ["diff", "last~7"],
        ["profile", "nothing"],
        ["report", "--top", "0"],
        ["report", "--where", "a"],
        ["search", "--log-directory", "/nowhere"],
    ],
    ids=" ".join,
)
def test_what_can_not_be_answered_says_why(run, argv):
    assert run(*argv, code=1).startswith("toolkit: ")


def test_the_index_lies_where_it_is_wanted(run, trail, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere.sqlite"
    run("search", "--index", str(elsewhere))
    assert elsewhere.exists()
    assert not (trail.directory / "index.sqlite").exists()
    count = run("search", "--index", str(elsewhere), "--count")
    database = sqlite3.connect(elsewhere)
    database.execute("DELETE FROM entry WHERE position = 3")
    database.commit()
    database.close()
    assert run("search", "--index", str(elsewhere), "--count") != count
    assert run("search", "--index", str(elsewhere), "--count", "--rebuild") == count
    monkeypatch.setenv("SCRIPTS_TOOLKIT_AUDIT_INDEX", str(tmp_path / "no" / "x"))
    assert "x.lock" in run("search", code=1) or "no such file" in run("search", code=1).lower()


def test_what_follows_comes_once_each_in_order_whether_in_a_journal_or_the_log(trail):
    before = trail.start()
    before.task(host="earlier")
    follower = Follower(str(trail.directory))
    assert list(follower.new()) == []
    before.task(host="one")
    assert [record["details"]["host"] for record, _time in follower.new()] == ["one"]
    before.task(host="two")
    trail.integrate(before.run_id)
    before.task(host="three")
    assert [record["details"].get("host") for record, _time in follower.new()] == ["two", "three"]
    before.end()
    trail.integrate()
    trail.run({"host": "short"})
    told = [(record["event_type"], record["details"].get("host")) for record, _time in follower.new()]
    assert sorted(told, key=str) == sorted(
        [("EXECUTION_END", None), ("EXECUTION_START", None), ("TASK_RESULT", "short"), ("EXECUTION_END", None)], key=str
    )
    killed = trail.start()
    killed.abandon()
    assert [record["event_type"] for record, _time in follower.new()] == ["EXECUTION_START"]
    trail.integrate()
    assert [record["event_type"] for record, _time in follower.new()] == ["INTERRUPTED"]
    assert list(follower.new()) == []
    assert not follower._journals


def test_following_waits_between_two_looks(trail):
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            trail.run({"host": "new"})
        if len(pauses) == 4:
            raise KeyboardInterrupt

    told = []
    followed = (told.append(record["event_type"]) for record, _time in follow(str(trail.directory), pause))
    with pytest.raises(KeyboardInterrupt):
        list(followed)
    assert told == ["EXECUTION_START", "TASK_RESULT", "EXECUTION_END"]
    assert len(pauses) == 4


def test_tail_follows_until_it_is_stopped(trail):
    living = trail.start()
    process = subprocess.Popen(
        [*COMMAND, "tail", "-f", "-n", "1", "--host", "web*", "--json", "--log-directory",
         str(trail.directory)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert json.loads(process.stdout.readline())["details"]["host"] == "web1"
    living.task(host="db1")
    living.task(host="web7")
    assert json.loads(process.stdout.readline())["details"]["host"] == "web7"
    living.end()
    trail.integrate()
    trail.run({"host": "web8"})
    assert json.loads(process.stdout.readline())["details"]["host"] == "web8"
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    process.stdout.close()


def test_a_reader_that_goes_away_is_no_error(trail):
    for _number in range(3):
        trail.run(*({"host": f"web{number}", "msg": "x" * 500} for number in range(200)))
    process = subprocess.Popen(
        [*COMMAND, "search", "--all", "--format", "jsonl", "--log-directory", str(trail.directory)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 128 + signal.SIGPIPE
    process.stderr.close()


def test_a_progress_bar_shows_a_share_and_stays_off_what_is_no_terminal(capsys):
    with ProgressBar("Indexing") as shown:
        shown(1, 2)
        assert shown.text(5_000, 10_000, 10) == "Indexing [#####.....]  50% of 10,000"
        assert shown.text(0, 0, 4) == "Indexing [####] 100% of 0"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("where", ["index.sqlite", "elsewhere.sqlite"])
def test_what_is_erased_is_gone_from_the_index_at_once(run, trail, monkeypatch, where):
    if where != "index.sqlite":
        monkeypatch.setenv("SCRIPTS_TOOLKIT_AUDIT_INDEX", str(trail.directory / where))
    run("search")
    assert b"disk full" in (trail.directory / where).read_bytes()
    gone = [entry["index"] for entry in trail.log() if entry["details"].get("msg") == "disk full"]
    run("erase", *map(str, gone), "--reason", "a test", "--yes")
    assert b"disk full" not in b"".join(path.read_bytes() for path in trail.directory.glob(f"{where}*"))
    assert run("search", "disk", "--count") == "0\n"
