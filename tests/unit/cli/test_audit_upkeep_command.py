# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.scripts.toolkit.cli import main
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.recorder import Identity, Recorder
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store import segments
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.journal import JournalSink


def write_run(directory, events=300):
    identity = Identity.of_this_process("ansible-playbook site.yml")
    sink = JournalSink(str(directory), identity.run_id)
    recorder = Recorder(identity, "/site.yml", sink)
    for number in range(events):
        recorder.record("TASK_RESULT", {"n": number})
    recorder.record("EXECUTION_END", {"status": "success", "duration_ms": 5})
    recorder.close()
    return identity.run_id


@pytest.fixture
def trail(tmp_path):
    write_run(tmp_path / "trail")
    return tmp_path / "trail"


def run(trail, capsys, command, *options, code=0):
    assert main(["audit", command, "--log-directory", str(trail), *options]) == code
    return capsys.readouterr()


def shown(trail, capsys, command, *options):
    return json.loads(run(trail, capsys, command, "--json", *options).out)


def test_integrate_takes_in_signs_and_counts(trail, capsys):
    told = shown(trail, capsys, "integrate")
    assert (len(told["runs"]), told["entries"]) == (1, 302)
    assert (trail / "checkpoint").exists()
    assert json.loads((trail / "metrics.json").read_text())["runs"]
    assert run(trail, capsys, "integrate").out == "0 runs taken in; the log has 302 entries, 0 of them new.\n"


def test_prune_says_first_and_then_does(trail, capsys):
    run(trail, capsys, "integrate")
    told = shown(trail, capsys, "prune", "--keep", "20", "--dry-run")
    assert told == {"minimum_index": 256, "entries": 256, "segments": 0, "blobs": 0}
    assert next(segments.entries(str(trail)))[0] == 0
    assert "256 entries are gone" in run(trail, capsys, "prune", "--keep", "20").out
    assert next(segments.entries(str(trail)))[0] == 256
    assert shown(trail, capsys, "prune", "--older-than", "90d")["entries"] == 0
    assert main(["audit", "prune", "--log-directory", str(trail)]) == 2
    assert main(["audit", "prune", "--log-directory", str(trail), "--older-than", "-1"]) == 2


def test_erase_asks_for_a_yes_and_a_reason(trail, capsys):
    run(trail, capsys, "integrate")
    assert "would erase 3 entries" in run(trail, capsys, "erase", "5-7", "--reason", "why", code=1).err
    assert "5-x" in run(trail, capsys, "erase", "5-x", "--reason", "why", "--yes", code=1).err
    assert main(["audit", "erase", "5", "--log-directory", str(trail), "--yes"]) == 2
    assert "either entries or --run" in run(trail, capsys, "erase", "--reason", "why", code=1).err
    assert shown(trail, capsys, "erase", "5-7", "9", "--reason", "why", "--yes")["erased"] == [5, 6, 7, 9]
    identity = json.loads(dict(segments.entries(str(trail), 10, 11))[10])["run_id"]
    assert len(shown(trail, capsys, "erase", "--run", identity, "--reason", "why", "--yes")["erased"]) == 297


def test_import_shows_what_came_in(trail, tmp_path, capsys):
    run_id = write_run(tmp_path / "other", 3)
    source = str(tmp_path / "other" / "journal" / f"{run_id}.jsonl")
    assert [each["entries"] for each in shown(trail, capsys, "import", source)] == [4]
    lines = run(trail, capsys, "import", source).out.splitlines()
    assert lines[0].split()[:3] == ["SOURCE", "ADDED", "KNOWN"]
    assert lines[1].split()[:3] == [source, "0", "4"]


def test_a_trail_that_is_not_there_is_told(tmp_path, capsys):
    for command in (["integrate"], ["prune", "--keep", "1"], ["erase", "1", "--reason", "why", "--yes"]):
        assert "There is no audit trail" in run(tmp_path / "none", capsys, *command, code=1).err
    assert not (tmp_path / "none").exists()
