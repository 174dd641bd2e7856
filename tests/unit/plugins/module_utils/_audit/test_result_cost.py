# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What recording the usual result takes: in a run each function and object that it touches costs a copied page."""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.events import Events
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.recorder import Identity, Recorder
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.redact import Redactor
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.journal import JournalSink


class Result:
    """Costs no call of a function by itself."""

    def __init__(self, data: dict, task: str) -> None:
        self.host = SimpleNamespace(name="web01")
        self.task = SimpleNamespace(
            _uuid=task, action="ansible.builtin.package", no_log=False, loop=None, delegate_to=None,
            get_name=lambda: "A task", get_path=lambda: "/srv/site.yml:3",
        )  # fmt: skip
        self.result = data


@pytest.fixture
def trail(tmp_path):
    redactor = Redactor()
    journal = JournalSink(str(tmp_path), "run", sync_interval=3600)
    who = Identity("run", "root", 0, "vm", 7, 6, "/srv", "ansible-playbook site.yml")
    yield SimpleNamespace(events=Events(redactor), recorder=Recorder(who, "/srv/site.yml", journal, redactor=redactor),
                          journal=journal)  # fmt: skip
    journal.close()


def functions_called(trail, result):
    """Return the names of the Python functions that recording takes."""
    called = []
    sys.setprofile(lambda frame, event, _arg: called.append(frame.f_code.co_name) if event == "call" else None)
    try:
        trail.recorder.record_all(trail.events.task_result(result, "ok"))
    finally:
        sys.setprofile(None)
    return called


@pytest.mark.parametrize("data", [{"changed": False}, {"changed": False, "state": "started", "name": "nginx"}])
def test_the_usual_result_takes_four_functions_and_one_write(trail, data, monkeypatch):
    functions_called(trail, Result(data, "t1"))  # what is the same for all results of a task is worked out once
    writes = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda *args: writes.append(real(*args)) or writes[-1])
    assert functions_called(trail, Result(data, "t1")) == ["task_result", "describe", "record_all", "write", "<lambda>"]
    lines = open(trail.journal.path, "rb").read().splitlines(keepends=True)
    assert writes == [len(lines[-1])]
    assert [json.loads(line)["details"]["status"] for line in lines[-2:]] == ["ok", "ok"]


def test_results_are_counted_later_and_all_of_them(trail):
    for number in range(5):
        trail.recorder.record_all(trail.events.task_result(Result({"changed": number > 2}, "t1"), "ok"))
    tally = trail.events.tally
    assert len(tally.waiting) == 5
    assert tally.details()["results"] == {"ansible.builtin.package": {"ms": 0, "ok": 3, "changed": 2}}
    assert tally.waiting == []
    assert tally.details()["results"] == {"ansible.builtin.package": {"ms": 0, "ok": 3, "changed": 2}}
