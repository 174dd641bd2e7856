# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trails for the tests of the index: real journals of the real recorder, taken into the log by the real integrator."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record import recorder as recorder_module
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.recorder import (
    Identity,
    Recorder,
    new_run_id,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.index.index import Index
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.query import filters_of
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.integrator import integrate, integrate_living
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.journal import JournalSink
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.segments import entries

OWN_EVENTS = ("KEY_ADDED", "SEGMENT_CLOSED", "ENTRY_ERASED", "LOG_PRUNED", "LOG_REPAIRED", "JOURNAL_IMPORTED")


class Clock:
    """Stands in for the module ``time`` of the recorder: the time of entries is part of what is tested."""

    strftime = staticmethod(time.strftime)
    gmtime = staticmethod(time.gmtime)

    def __init__(self, milliseconds: int) -> None:
        self.milliseconds = milliseconds

    def time_ns(self) -> int:
        return self.milliseconds * 1_000_000


class LivingRun:
    """A run that is being recorded."""

    def __init__(self, directory: Path, **who: object) -> None:
        known = {"user": "alice", "uid": 1000, "hostname": "ctl01", "script": "/srv/site.yml", **who}
        script = str(known.pop("script"))
        identity = Identity(
            **{"run_id": new_run_id(), "pid": 7, "ppid": 6, "working_directory": "/srv", **known},
            command_line=f"ansible-playbook {script}",
        )
        self.run_id = identity.run_id
        self._sink = JournalSink(str(directory), self.run_id, sync_interval=3600)
        self.recorder = Recorder(identity, script, self._sink)

    def task(self, host: str = "web1", status: str = "ok", task: str = "Do it", **more: object) -> None:
        module = more.pop("module", "ansible.builtin.command")
        details = {"host": host, "status": status, "task": task, "module": module, "changed": status == "changed"}
        self.recorder.record("TASK_RESULT", {**details, **more})

    def event(self, event_type: str, **details: object) -> None:
        self.recorder.record(event_type, details)

    def end(self, status: str = "success", **details: object) -> None:
        self.recorder.record("EXECUTION_END", {"status": status, "duration_ms": 1500, **details})
        self._sink.close()

    def abandon(self) -> None:
        self._sink.close()


class Trail:
    """A log directory and what is done to it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def start(self, **who: object) -> LivingRun:
        run = LivingRun(self.directory, **who)
        run.event("EXECUTION_START", check=False)
        return run

    def run(self, *tasks: dict, status: str = "success", end: dict | None = None, **who: object) -> str:
        """Record a whole run with these task results, take it into the log and return its id."""
        run = self.start(**who)
        for task in tasks:
            run.task(**task)
        run.end(status, **(end or {}))
        self.integrate()
        return run.run_id

    def integrate(self, run_id: str | None = None) -> None:
        if run_id is None:
            integrate(str(self.directory), lambda _end: None)
        else:
            integrate_living(str(self.directory), run_id)

    def log(self) -> list[dict]:
        """Return the records of the log in order of time, without erased ones."""
        found = []
        for index, line in entries(str(self.directory)):
            record = json.loads(line)
            if "erased" not in record:
                found.append({**record, "index": index})
        return sorted(found, key=lambda record: record["timestamp"])

    def everything(self) -> list[dict]:
        """Return the records of the log and, with ``index: None``, those of journals that the log does not have."""
        records = self.log()
        known = {(record.get("run_id"), record["salt"]) for record in records}
        folder = self.directory / "journal"
        for name in sorted(os.listdir(folder)) if folder.is_dir() else []:
            if name.endswith(".jsonl") and not name.startswith("."):
                for line in (folder / name).read_bytes().split(b"\n")[:-1]:
                    record = json.loads(line)
                    if (record["run_id"], record["salt"]) not in known:
                        records.append({**record, "index": None})
        return records

    def index(self) -> Index:
        index = Index(str(self.directory))
        index.catch_up()
        return index

    def found(self, **filters: object) -> list[dict]:
        """Return what the index, brought up to date, finds in order of time."""
        with self.index() as index:
            return list(index.each(filters_of(filters)))


def at(monkeypatch, milliseconds: int) -> Clock:
    """Let what is recorded from now on have this time; the clock returned can be moved."""
    clock = Clock(milliseconds)
    monkeypatch.setattr(recorder_module, "time", clock)
    return clock


def salts(records: list[dict]) -> list[str]:
    """Return what tells records apart, sorted."""
    return sorted(record["salt"] for record in records)
