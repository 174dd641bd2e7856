# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.settings import (
    Settings,
    changes,
    gap_since_last_run,
    load_settings,
    save_settings,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.signals import (
    TerminationWatch,
    deferred_signals,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError


def settings(tmp_path, **more):
    return replace(Settings(str(tmp_path / "log"), None), **more)


def test_settings_survive_and_their_changes_are_told(tmp_path):
    first = settings(tmp_path).shown()
    assert load_settings(str(tmp_path)) is None
    save_settings(str(tmp_path), first)
    assert changes(load_settings(str(tmp_path)), first) == {}
    assert os.stat(tmp_path / "settings.json").st_mode & 0o777 == 0o600
    second = settings(tmp_path, detail="none", witnesses=()).shown()
    assert changes(first, second) == {
        "detail": {"before": "summary", "after": "none"},
        "witnesses": {"before": ["journal"], "after": []},
    }
    (tmp_path / "settings.json").write_text("{", encoding="utf-8")
    assert load_settings(str(tmp_path)) is None


def test_redaction_patterns_are_told_by_number_but_their_change_shows(tmp_path):
    one, two = (settings(tmp_path, redact_patterns=(word,)).shown() for word in ("hunter2", "hunter3"))
    assert "hunter2" not in json.dumps(one)
    assert one["redact_patterns"]["number"] == 1
    assert "redact_patterns" in changes(one, two)


def test_urls_with_passwords_are_refused(tmp_path):
    settings(tmp_path, metrics_sinks=("otlp+https://host/x",)).check()
    with pytest.raises(ValidationError, match="password"):
        settings(tmp_path, metrics_sinks=("influx+https://me:secret@host/x",)).check()


def test_gaps(tmp_path):
    state, mine, other = str(tmp_path / "state"), "/log/mine", "/log/other"
    assert gap_since_last_run(state, mine) is None
    assert gap_since_last_run(state, mine) is None
    for _run in range(3):
        gap_since_last_run(state, other)
    gap = gap_since_last_run(state, mine)
    assert (gap["runs_elsewhere"], gap["directories"]) == (3, [other])
    assert gap_since_last_run(state, mine) is None
    assert gap_since_last_run(state, mine, recorded=False) is None
    assert gap_since_last_run(state, mine)["unrecorded_runs"] == 1
    assert gap_since_last_run(state, mine) is None
    for number in range(80):
        gap_since_last_run(state, f"/log/{number}")
    with open(os.path.join(state, "audit-activity.json"), encoding="utf-8") as handle:
        assert len(json.load(handle)["trails"]) == 50


def test_signals_wait_for_a_commit():
    came = []
    previous = signal.signal(signal.SIGTERM, lambda number, _frame: came.append(number))
    try:
        with deferred_signals():
            os.kill(os.getpid(), signal.SIGTERM)
            assert came == []
        assert came == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, previous)


def test_the_handler_that_was_there_comes_after_ours():
    came = []
    previous = signal.signal(signal.SIGTERM, lambda _number, _frame: came.append("theirs"))
    try:
        TerminationWatch(lambda: came.append("ours"))
        os.kill(os.getpid(), signal.SIGTERM)
        assert came == ["ours", "theirs"]
    finally:
        signal.signal(signal.SIGTERM, previous)


def test_without_another_handler_the_process_ends_by_the_signal(collection_root):
    program = (
        "import os, signal, sys; sys.path[:0] = [sys.argv[1]];"
        "from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.signals import TerminationWatch;"
        "TerminationWatch(lambda: os.write(1, b'ended')); os.kill(os.getpid(), signal.SIGTERM)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(collection_root.parents[2])], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, b"ended")
