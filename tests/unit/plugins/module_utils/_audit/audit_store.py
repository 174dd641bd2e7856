# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Journals to take in, a check of the whole log that shares no code with the log, and processes that die where they are
told to."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import signal

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.verify import verify
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.journal import JournalSink

OWN = ("SEGMENT_CLOSED", "LOG_REPAIRED", "KEY_ADDED", "KEY_RETIRED", "ENTRY_ERASED", "LOG_PRUNED", "JOURNAL_IMPORTED")


def record(run_id, event_type, **details):
    return {
        "details": details,
        "event_type": event_type,
        "run_id": run_id,
        "salt": "00",
        "timestamp": "2026-01-02T03:04:05.678Z",
    }


def line(*args, **kwargs):
    return json.dumps(record(*args, **kwargs), separators=(",", ":"), sort_keys=True).encode() + b"\n"


def write_run(directory, run_id, end=True, events=3, torn=b""):
    sink = JournalSink(str(directory), run_id, sync_interval=3600)
    sink.write(line(run_id, "EXECUTION_START"))
    for number in range(events):
        sink.write(line(run_id, "TASK_RESULT", n=number))
    if end:
        sink.write(line(run_id, "EXECUTION_END", status="success", duration_ms=10))
    if torn:
        sink.write(torn)
    sink.close()


def journals(directory):
    return sorted(os.listdir(directory / "journal"))


def lines_of(directory):
    """Return ``[(index, line)]`` of everything on disk, by the names of the files alone."""
    found = []
    for path in sorted((directory / "segments").glob("*.jsonl.gz")) if (directory / "segments").is_dir() else []:
        first = int(path.name[:20])
        found += enumerate(gzip.decompress(path.read_bytes()).splitlines(), first)
    state = json.loads((directory / "state.json").read_bytes())
    active = (directory / "audit.jsonl").read_bytes()
    assert len(active) == state["bytes"]
    assert active[-1:] in (b"", b"\n")
    found += enumerate(active.splitlines(), state["first"])
    assert state["entries"] == (found[-1][0] + 1 if found else 0)
    return found


def tree_root(hashes):
    """RFC 6962, section 2.1."""
    if len(hashes) <= 1:
        return hashes[0] if hashes else hashlib.sha256().digest()
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree_root(hashes[:half]) + tree_root(hashes[half:])).digest()


def entries_of(directory, pruned=False):
    """Return all entries after checking indexes, hashes of segments, leaf hashes in tiles, and the root."""
    lines = lines_of(directory)
    if not pruned:
        assert [index for index, _line in lines] == list(range(len(lines)))
    tiles = leaf_tiles(directory)
    hashes = dict(enumerate(tiles)) if pruned else {}
    for index, text in lines:
        entry = json.loads(text)
        erased = entry.get("erased")
        hashes[index] = bytes.fromhex(erased) if erased else hashlib.sha256(b"\0" + text).digest()
    hashes = [hashes[index] for index in range(len(hashes))]
    _origin, size, root = (directory / "checkpoint").read_text().split("\n")[:3]
    assert int(size) == len(hashes)
    assert base64.b64decode(root) == tree_root(hashes)
    assert tiles == hashes
    entries = [json.loads(text) for _index, text in lines]
    check_segments(directory, entries)
    return entries


def leaf_tiles(directory):
    found = {}
    for path in (directory / "tile" / "0").rglob("*"):
        match = re.fullmatch(r"((?:x\d{3}/)*)(\d{3})(?:\.p/(\d+))?", str(path.relative_to(directory / "tile" / "0")))
        if match and path.is_file():
            number = int(match[1].replace("x", "").replace("/", "") + match[2])
            data = path.read_bytes()
            assert len(data) == 32 * int(match[3] or 256)
            assert number not in found, "a superseded tile was left"
            found[number] = [data[at : at + 32] for at in range(0, len(data), 32)]
    return [digest for number in sorted(found) for digest in found[number]]


def check_segments(directory, entries):
    """The newest hashes in the log of each closed segment are those of the files."""
    told = {}
    for entry in entries:
        details = entry.get("details", {})
        if entry["event_type"] == "SEGMENT_CLOSED":
            told[details["first"]] = details
        for segment in details.get("segments", []) if entry["event_type"] in ("ENTRY_ERASED", "LOG_PRUNED") else []:
            told[segment["first"]] = segment
    for path in (directory / "segments").glob("*"):
        data = path.read_bytes()
        details = told[int(path.name[:20])]
        plain = gzip.decompress(data)
        assert details["sha256_gz"] == hashlib.sha256(data).hexdigest()
        assert details["sha256"] == hashlib.sha256(plain).hexdigest()
        assert (details["bytes"], details["entries"]) == (len(plain), plain.count(b"\n"))
        assert int(path.name[:20]) % 256 == 0


def of_runs(directory, entries=None, **kwargs):
    """Return the entries (of ``directory``, if they are not given) without the log's own."""
    entries = entries_of(directory, **kwargs) if entries is None else entries
    return [entry for entry in entries if entry["event_type"] not in OWN]


def repairs(directory, entries=None):
    """Return what the log tells of repairs."""
    entries = entries_of(directory) if entries is None else entries
    return [entry["details"] for entry in entries if entry["event_type"] == "LOG_REPAIRED"]


def verified(directory):
    """The log holds before its own verification too."""
    report = verify(str(directory))
    assert report.ok, report.findings


def runs_of(directory, entries=None):
    """Return the run ids in order, asserting that each has its entries once, in order, from start to end."""
    found = {}
    for entry in of_runs(directory, entries):
        found.setdefault(entry["run_id"], []).append(entry)
    for run in found.values():
        assert run[0]["event_type"] == "EXECUTION_START"
        assert run[-1]["event_type"] in ("EXECUTION_END", "INTERRUPTED")
        assert [entry["details"]["n"] for entry in run[1:-1]] == list(range(len(run) - 2))
    return list(found)


def in_child(work):
    """Run ``work`` in a forked process and return its pid; it ends by ``os._exit``: 0, or 1 after an exception."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


def waited(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


CALLS = ("open", "write", "pwrite", "fdatasync", "fsync", "rename", "unlink", "ftruncate", "truncate", "mkdir", "link")


def killed_at(number, work, calls=CALLS):
    """Run ``work`` in a process that kills itself with signal 9 before its file operation ``number``, which is after
    the one before; return whether it came that far."""

    def dying():
        left = [number]

        def wrapped(real):
            def call(*args, **kwargs):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return call

        for name in calls:
            setattr(os, name, wrapped(getattr(os, name)))
        work()

    code = waited(in_child(dying))
    assert code in (0, -signal.SIGKILL)
    return code != 0
