# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.recorder import (
    MAX_LINE,
    MIN_LINE_LIMIT,
    Identity,
    Recorder,
    new_run_id,
)

FIELDS = {
    *("command_line", "details", "event_type", "hostname", "pid", "ppid", "run_id", "salt", "script", "timestamp"),
    *("uid", "user", "working_directory"),
}
WHO = Identity("01a1", "jürgen", 1000, "vm", 7, 6, "/srv/\ud800x", "ansible-playbook 'ü \"x\"'")


class Lines:
    def __init__(self):
        self.lines = []

    def write(self, line):
        self.lines.append(line)

    def sync(self):
        pass

    def close(self):
        pass


@given(
    st.text(st.characters(blacklist_categories=[])),
    st.dictionaries(st.text(max_size=20), st.text() | st.integers() | st.lists(st.text())),
)
def test_a_line_is_canonical_json_with_the_common_fields(script, details):
    sink = Lines()
    Recorder(WHO, script, sink).record("PLAY_START", details)
    line = sink.lines[0]
    assert line.endswith(b"\n")
    assert b"\n" not in line[:-1]
    record = json.loads(line)
    assert set(record) == FIELDS
    assert json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8") == line[:-1]
    assert record["event_type"] == "PLAY_START"
    assert record["user"] == "jürgen"
    assert (record["uid"], record["pid"], record["ppid"]) == (1000, 7, 6)
    assert re.fullmatch(r"[0-9a-f]{32}", record["salt"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["timestamp"])


@given(
    st.dictionaries(
        st.text(max_size=30),
        st.text(max_size=30) | st.integers().map(lambda n: "ü\x01" * (n % 9000)) | st.lists(st.text(), max_size=30),
        max_size=60,
    ),
    st.sampled_from([MIN_LINE_LIMIT, 16384, MAX_LINE]),
)
def test_no_line_is_longer_than_the_limit(details, limit):
    sink = Lines()
    huge = Identity("01a1", "u", 0, "h", 1, 1, "/\x01" * 4000, "x" * 2048)
    recorder = Recorder(huge, "s\x01" * 4000, sink, line_limit=limit)
    recorder.record("TASK_RESULT", details)
    recorder.record("TASK_RESULT", {**details, "big": "y" * 70000, "tree": {"a": ["z" * 70000]}, "host": "web01"})
    assert all(len(line) - 1 <= limit for line in sink.lines)
    cut = json.loads(sink.lines[1])["details"]
    assert cut["truncated"] is True
    if not details:
        assert cut["host"] == "web01"
        assert cut["big"].startswith("yyy")
        assert cut["tree"] == "(70010 bytes left out)"


def test_salts_and_run_ids_differ_and_run_ids_sort_by_time():
    sink = Lines()
    recorder = Recorder(WHO, "s", sink)
    for _count in range(50):
        recorder.record("X", {})
    assert len({json.loads(line)["salt"] for line in sink.lines}) == 50
    ids = []
    for _count in range(20):
        ids.append(new_run_id())
        time.sleep(0.002)
    assert ids == sorted(ids)
    assert len(set(ids)) == 20
    parsed = uuid.UUID(ids[0])
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert abs((parsed.int >> 80) / 1000 - time.time()) < 60


def test_a_sink_that_fails_counts_the_event_as_lost():
    class Full(Lines):
        def write(self, line):
            raise OSError(28, "No space left on device")

    recorder = Recorder(WHO, "s", Full())
    with pytest.raises(OSError, match="No space left"):
        recorder.record("X", {})
    assert (recorder.recorded, recorder.lost) == (0, 1)


def test_this_process():
    who = Identity.of_this_process("x")
    assert who.pid > 0
    assert who.user
    assert who.hostname
