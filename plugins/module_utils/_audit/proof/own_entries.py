# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The log's own entries held against what is on disk: segments, erased and pruned entries, keys, repairs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from ..._core.errors import IntegrityError
from ..._core.files import sha256
from ..._core.signed_note import Verifier
from ..store.blobs import BLOB_DIRECTORY, names
from .keys import KeyHistory, Policy
from .scan import Scanned

__all__ = ["OwnEntries", "name_of"]


_DIGESTS = ("sha256_gz", "sha256", "bytes", "entries")


class OwnEntries:
    """Takes in the parts of a log and judges them together at the end.

    :param report: called with ``(kind, where, message, index)`` for everything that is wrong.
    :param note: called with a sentence that an auditor should read, without anything being wrong.
    """

    def __init__(self, report: Callable[..., object], note: Callable[[str], object]) -> None:
        self._report = report
        self._note = note
        self._events: list[tuple[int, str, dict]] = []
        self._files: dict[int, Scanned] = {}
        self.erased: dict[int, str] = {}
        self.lost: list[int] = []
        self._blobs: list[tuple[int, str]] = []

    def take(self, found: Scanned) -> None:
        """Take in a part."""
        self._events += found.events
        self.erased.update(found.erased)
        self.lost += found.lost
        self._blobs += found.blobs
        if found.part.end is None:
            self._files[found.part.first] = found

    def _details(self, *types: str) -> Iterable[tuple[int, str, dict]]:
        return [event for event in self._events if event[1] in types]

    def check_segments(self, minimum: int) -> None:
        """Every closed segment has the hashes that were recorded last for it, and none is missing."""
        recorded: dict[int, tuple[int, dict]] = {}
        for index, event, details in self._details("SEGMENT_CLOSED", "ENTRY_ERASED"):
            for each in _segments_of(event, details):
                recorded[each["first"]] = (index, each)
        for first, (index, _details) in sorted(recorded.items()):
            if first >= minimum and first not in self._files:
                name = f"segments/{first:020d}.jsonl.gz"
                self._report("segment", name, f"The segment is missing; entry {index} recorded it.", first)
        for first, found in sorted(self._files.items()):
            if first not in recorded:
                self._report("segment", found.part.name, "No entry of the log recorded this segment.", first)
                continue
            index, details = recorded[first]
            measured = {**found.digests, "entries": found.entries}
            wrong = [key for key in _DIGESTS if key in details and details[key] != measured.get(key)]
            if wrong:
                said = f"entry {index} recorded {wrong[0]} {details[wrong[0]]}, the file has {measured.get(wrong[0])}"
                self._report("segment", found.part.name, f"The file is not the one that was closed: {said}.", first)

    def check_erased(self) -> None:
        """Every placeholder has its record."""
        recorded = {}
        for index, _event, details in self._details("ENTRY_ERASED"):
            if isinstance(details.get("index"), int):
                recorded[details["index"]] = (index, str(details.get("leaf_hash")))
        for index, digest in sorted(self.erased.items()):
            record = recorded.get(index)
            if record is None:
                self._report("erased", f"entry {index}", "It was erased without a record in the log.", index)
            elif record[1] != digest:
                message = f"Its placeholder has another hash than entry {record[0]} recorded."
                self._report("erased", f"entry {index}", message, index)

    def check_blobs(self, directory: str) -> None:
        """Every side blob that an entry names is there and has the bytes that its name promises."""
        there = names(directory) if self._blobs else set()
        for index, name in self._blobs:
            where = f"{BLOB_DIRECTORY}/{name}"
            try:
                if name not in there:
                    self._report("blob", where, f"It is missing; entry {index} names it.", index)
                elif sha256(os.path.join(directory, where)) != name:
                    self._report("blob", where, f"It was changed; entry {index} names it.", index)
            except OSError as error:
                self._report("blob", where, f"It can't be read: {error.strerror}.", index)

    def check_pruned(self, minimum: int) -> None:
        """What is missing at the beginning was pruned on record."""
        recorded = [details.get("minimum_index") for _index, _event, details in self._details("LOG_PRUNED")]
        allowed = max((number for number in recorded if isinstance(number, int)), default=0)
        if minimum > allowed:
            message = f"The entries {allowed} to {minimum - 1} are gone, and no entry says that they were pruned."
            self._report("segment", f"segments/{allowed:020d}.jsonl.gz", message, allowed)

    def check_lost(self) -> None:
        """Entries that a repair could only replace by a placeholder are gone, whatever the reason was."""
        first, last = None, None
        for index in [*sorted(self.lost), None]:
            if first is not None and index != last + 1:
                which = f"entry {first}" if first == last else f"entries {first} to {last}"
                self._report("entry", which, "Lost: a repair found only the hash in the tree.", first)
                first = None
            if first is None:
                first = index
            last = index
        for index, _event, details in self._details("LOG_REPAIRED"):
            repair, reason = details.get("repair"), details.get("reason") or ""
            if details.get("same_root") is False:
                message = f"The log was repaired, and has another root since: {reason}"
                self._report("entry", f"entry {index}", message, index)
            elif repair != "adopted":
                self._note(f"Entry {index} records a repair of the log ({repair}). {reason}".rstrip())

    def check_keys(self, policy: Policy, anchors: Iterable[Verifier], pruned: bool) -> None:
        """The trusted keys of today follow from the log, and from keys that were known before.

        :param policy: of the log today.
        :param anchors: keys that are known from elsewhere: remembered ones, or given ones.
        :param pruned: entries about keys may be gone.
        """
        added = {str(details.get("vkey")) for _index, event, details in self._details("KEY_ADDED")}
        begin = [verifier for verifier in policy.trusted if verifier.vkey not in added] if pruned else []
        history = KeyHistory(begin)
        for index, event, details in self._details("KEY_ADDED", "KEY_RETIRED"):
            try:
                history.take(event, details)
            except IntegrityError as error:
                self._report("key", f"entry {index}", error.message, index)
        known = {**history.active, **history.retired}
        for verifier in anchors:
            if verifier.vkey not in known and (history.recorded or verifier not in policy.trusted):
                message = "This key was trusted before, but is none of this log's keys: they were replaced."
                self._report("key", f"key {verifier.key_id}", message)
        if not history.recorded and not pruned:
            self._report("key", "keys", "No entry of the log records its keys.")
            return
        for verifier in policy.trusted:
            if verifier.vkey not in known:
                self._report("key", f"key {verifier.key_id}", "It is trusted, but no entry of the log records it.")
        for verifier in policy.required:
            if verifier.vkey in history.retired:
                self._report("key", f"key {verifier.key_id}", "It is active, but was retired by an entry of the log.")
        named = {verifier.vkey for verifier in policy.trusted}
        for vkey, verifier in known.items():
            if vkey not in named:
                message = f"The log records it, but keys/trusted.vkeys does not name it: {vkey}"
                self._report("key", f"key {verifier.key_id}", message)


def _segments_of(event: str, details: dict) -> list[dict]:
    """Return the hashes of segments that an entry records, each with ``first``."""
    found = details.get("segments") if event == "ENTRY_ERASED" else [details]
    if found is None:
        found = [details.get("segment", details)]
    if isinstance(found, dict):
        found = [found]
    return [each for each in found if isinstance(each, dict) and isinstance(each.get("first"), int)]


def name_of(directory: str, path: str) -> str:
    """Return how a file of the log is called in messages: its path below the directory."""
    name = os.path.relpath(path, directory)
    folder, base = os.path.split(name)
    if base.startswith("."):  # committed, but not renamed yet
        base = base[1:].rpartition(".")[0]
    return os.path.join(folder, base)
