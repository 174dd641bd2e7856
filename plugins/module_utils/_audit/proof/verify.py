# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verification of a whole log: every entry, segment, tile and signature, and what others remember of it.

What can be proved depends on what is given. The log by itself shows accidental change, since whoever writes it can also
reach its signing key. With checkpoints kept elsewhere, nothing below them can be changed unseen.
"""

from __future__ import annotations

import fcntl
import os
import random
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Optional

from ..._core.errors import ConflictError, IntegrityError, ToolkitError
from ..._core.files import read_bytes
from ..._core.signed_note import Verifier
from ..store.lock import LogLock
from ..store.segments import ranges
from ..store.state import STATE_NAME, load_state
from .checkpoint import CHECKPOINT_NAME, Checkpoint, parse_with_note
from .differences import Difference, differences, spans
from .keys import Keyring, Policy
from .own_entries import OwnEntries, name_of
from .remembered import Kept, Memory
from .scan import Part, Scanned, leaves_of, scan, split
from .tiles import TILE_WIDTH, tile_path
from .tree_check import TreeCheck
from .verdict import BROKEN, WITH_MEMORY, WITH_WITNESS, Finding, Report

__all__ = ["Finding", "Report", "verify"]

_PATIENCE = 10.0
"""Seconds for which a moment is sought in which the log does not change."""
_PAUSE = 0.01
"""Seconds between two such looks at most; by chance, so that they don't keep the step of a writer."""
_TRIES_AFTER_FINDINGS = 3
_MAX_FINDINGS = 1000


def verify(
    directory: str,
    memory: Optional[Memory] = None,
    witnesses: Optional[Sequence[Kept]] = None,
    trusted: Sequence[Verifier] = (),
    parse: bool = True,
    run: Callable = map,
    progress: Optional[Callable[[int, int], object]] = None,
) -> Report:
    """Verify the log in ``directory``. Nothing is locked: a log that grows meanwhile is verified as it was.

    :param memory: what earlier verifications remembered; what is right now is added to it.
    :param witnesses: checkpoints that witnesses hold; ``None`` when no witness was asked.
    :param trusted: keys that are known from elsewhere; the log's keys must go back to them.
    :param parse: also look whether every line is a record.
    :param run: a ``map`` that may use other processes (of a process pool).
    :param progress: called with the number of entries done and that of all.
    :raises ToolkitError: the log can't be read at all.
    """
    attempt, end = 0, time.monotonic() + _PATIENCE
    while True:
        before = _mark(directory)
        try:
            report = _Verification(directory, memory, witnesses, trusted, parse).run(run, progress or (lambda *_: None))
        except ConflictError:
            if time.monotonic() >= end:
                raise
            time.sleep(random.uniform(0, _PAUSE))
        else:
            # What was found while the log changed may be the change; what is found again is wrong.
            if report.ok or attempt >= _TRIES_AFTER_FINDINGS or before == _mark(directory):
                return report
            attempt += 1


def _mark(directory: str) -> tuple:
    return tuple(read_bytes(os.path.join(directory, name)) for name in (STATE_NAME, CHECKPOINT_NAME))


class _Verification:
    def __init__(
        self,
        directory: str,
        memory: Optional[Memory],
        witnesses: Optional[Sequence[Kept]],
        trusted: Sequence[Verifier],
        parse: bool,
    ) -> None:
        self.directory = directory
        self.memory = memory
        self.witnesses = witnesses
        self.trusted = list(trusted)
        self.parse = parse
        self.report = Report(directory)
        self.own = OwnEntries(self._wrong, self.report.notes.append)
        self.note = b""

    def _wrong(self, kind: str, where: str, message: str, index: Optional[int] = None) -> None:
        if len(self.report.findings) < _MAX_FINDINGS:
            self.report.findings.append(Finding(kind, where, message, index))

    def run(self, run: Callable, progress: Callable[[int, int], object]) -> Report:
        report, begun = self.report, _mark(self.directory)
        policy = self._policy()
        head = self._checkpoint(policy)
        files = self._files(head)
        total = report.size - report.minimum
        tree = TreeCheck(self.directory, report.size, report.minimum)
        if _mark(self.directory) != begun:
            raise ConflictError("The log changes faster than it can be looked at.", hint="Try again.")
        parts = [part for whole in files for part in (split(whole) if whole.end is not None else [whole])]
        kept = self._kept(policy)
        parts = _with_heads(parts, [report.size, *(each.size for each, _where, _kind in kept)])
        types, done = Counter(), 0
        suspect: dict[str, list[Scanned]] = {}
        for found in run(scan, parts):
            tree.take(found)
            self.own.take(found)
            types.update(found.types)
            self._no_records(found)
            suspect.setdefault(found.part.name, []).append(found)
            done += found.entries
            progress(min(done, total), total)
        report.types = dict(sorted(types.items()))
        self._tree(tree, head, files, suspect)
        self._own(policy)
        self._compare(tree, kept)
        if self.memory is not None and report.ok and head is not None and policy is not None:
            self.memory.remember(policy.origin, policy.trusted, self.note)
        return report

    def _policy(self) -> Optional[Policy]:
        try:
            return Keyring(self.directory).policy
        except ToolkitError as error:
            self._wrong("key", "keys/trusted.vkeys", error.message)
            return None

    def _checkpoint(self, policy: Optional[Policy]) -> Optional[Checkpoint]:
        data = read_bytes(os.path.join(self.directory, CHECKPOINT_NAME))
        if data is None:
            self._wrong("checkpoint", "checkpoint", "The signed checkpoint is missing.")
            return None
        try:
            head, note = parse_with_note(data, policy.trusted if policy else [])
        except IntegrityError as error:
            self._wrong("checkpoint", "checkpoint", f"The signed checkpoint does not hold: {error.message}")
            return None
        self.note = data
        signed = {signature.verifier for signature in note.verified}
        for verifier in policy.required:
            if verifier not in signed:
                message = f"The active key {verifier.key_id} did not sign the checkpoint."
                self._wrong("checkpoint", "checkpoint", message)
        for signature in note.unknown:
            message = f"It has a signature of a key that is not trusted: {signature.name}+{signature.key_id}."
            self._wrong("checkpoint", "checkpoint", message)
        if head.origin != policy.origin or head.extensions:
            message = f"It is the checkpoint of {head.origin!r}, the log is {policy.origin!r}."
            self._wrong("checkpoint", "checkpoint", message if head.origin != policy.origin else "It has more lines.")
        self.report.origin, self.report.root = head.origin, head.root.hex()
        self.report.signed_by = sorted(verifier.key_id for verifier in signed)
        return head

    def _files(self, head: Optional[Checkpoint]) -> list[Part]:
        state = load_state(self.directory)
        found = ranges(self.directory)
        last = found[-1]
        report = self.report
        report.size = head.size if head else last.stop
        report.minimum = min(state.minimum if state else found[0].first, report.size)
        report.uncovered = max(0, last.stop - report.size)
        report.segments = len(found) - 1
        files = []
        for segment in found:
            name = name_of(self.directory, segment.path)
            try:
                status = os.stat(segment.path)
            except FileNotFoundError:
                if ranges(self.directory) != found:  # it got its own name since, which changes no mark
                    raise ConflictError(f"{name} was moved while it was looked at.", hint="Try again.") from None
                if segment.stop > segment.first:
                    self._wrong("segment", name, "The segment is missing.", segment.first)
                continue
            part = Part(
                self.directory,
                segment.path,
                name,
                (status.st_dev, status.st_ino),
                segment.first,
                max(segment.stop, report.size) if segment.active else segment.stop,
                end=segment.size if segment.active else None,
                size=report.size,
                parse=self.parse,
            )
            if not segment.active or segment.size:
                files.append(part)
            if segment.active and status.st_size < segment.size:
                message = f"It has {status.st_size} bytes, {segment.size} were committed."
                self._wrong("segment", name, message, segment.first)
            elif segment.active and status.st_size > segment.size and not _is_held(LogLock(self.directory).path):
                message = (
                    f"{status.st_size - segment.size} bytes follow its committed end: of a crash, or of somebody else."
                )
                self._wrong("segment", name, message, segment.stop)
        return files

    def _no_records(self, found: Scanned) -> None:
        if found.no_record_count:
            first = ", ".join(map(str, found.no_records[:5]))
            self.report.notes.append(f"{found.no_record_count} lines of {found.part.name} are no records: {first}.")

    def _tree(
        self, tree: TreeCheck, head: Optional[Checkpoint], files: list[Part], scanned: dict[str, list[Scanned]]
    ) -> None:
        holds = tree.settle(head.root if head else None)
        size, minimum = self.report.size, self.report.minimum
        for number in tree.pruned_wrong:
            message = "Its hashes, of pruned entries, are not those that were signed."
            self._wrong("tile", tile_path(0, number), message, number * TILE_WIDTH)
        covered = minimum
        for part in files:
            name, stop = part.name, min(part.stop, size)
            if part.first > covered:
                self._missing(covered, part.first)
            covered = max(covered, stop)
            entries = sum(found.entries for found in scanned[name])
            broken = "; ".join(found.broken for found in scanned[name] if found.broken)
            if broken:
                self._wrong("segment", name, f"The file is damaged: {broken}.", part.first)
            closed = part.end is None
            short = entries != part.stop - part.first if closed else entries < stop - part.first
            numbers = range(part.first // TILE_WIDTH, -(-stop // TILE_WIDTH))
            if short or broken or any(number in tree.differ for number in numbers):
                self._blame(tree, part, name, stop)
        if covered < size:
            self._missing(covered, size)
        for path, hashes in tree.wrong_tiles():
            self._wrong_tile(path, hashes)
        self.report.tiles = sum(-(-(size >> 8 * level) // TILE_WIDTH) for level in range(8))
        if head is not None and not holds:
            message = (
                "Neither the entries nor the tiles have the signed root."
                if tree.differ
                else ("Entries and tiles agree, but they do not have the signed root: both were changed.")
            )
            self._wrong("checkpoint", "checkpoint", message)

    def _missing(self, first: int, stop: int) -> None:
        which = f"entry {first}" if stop == first + 1 else f"entries {first} to {stop - 1}"
        self._wrong("entry", which, "Missing.", first)

    def _blame(self, tree: TreeCheck, part: Part, name: str, stop: int) -> None:
        """Name what is wrong in a segment: entries, tiles of level 0, or both."""
        whole = part if part.end is None else replace(part, end=os.path.getsize(part.path), stop=None)
        found = bytes(leaves_of(whole))
        signed = tree.signed_leaves(part.first, stop)
        told = differences(found, signed, part.first)
        if part.end is not None or part.stop > stop:  # more entries may wait behind those that are signed
            told = [each for each in told if not _beyond(each, stop)]
        wrong = tree.entries_wrong
        for each in told:
            numbers = set(range(each.index // TILE_WIDTH, (each.index + each.count - 1) // TILE_WIDTH + 1))
            if each.kind == "changed" and not numbers & wrong:
                continue
            where = f"entry {each.index}"
            self._wrong("entry", where, f"In {name}: {each}.", each.index)
        changed = [index for each in told for index in range(each.index, each.index + each.count)]
        for number in sorted(set(range(part.first // TILE_WIDTH, -(-stop // TILE_WIDTH))) & tree.differ - wrong):
            hashes = [index for index in changed if index // TILE_WIDTH == number]
            self._wrong_tile(tile_path(0, number, tree.reader.width(0, number)), hashes)

    def _wrong_tile(self, path: str, hashes: list[int]) -> None:
        """Report a tile; ``hashes`` are the wrong ones by their number on the level."""
        index = hashes[0] if hashes else None
        if not os.path.exists(os.path.join(self.directory, path)):
            self._wrong("tile", path, "The tile is missing.", index)
        elif index is None:
            self._wrong("tile", path, "The tile has the wrong length.")
        else:
            message = f"These hashes of the tile are wrong, by their number on the level: {spans(hashes)}."
            self._wrong("tile", path, message, index)

    def _own(self, policy: Optional[Policy]) -> None:
        self.own.check_pruned(self.report.minimum)
        self.own.check_segments(self.report.minimum)
        self.own.check_erased()
        self.own.check_lost()
        self.own.check_blobs(self.directory)
        self.report.erased = sorted(self.own.erased)
        if policy is not None:
            anchors = [*self.trusted, *(self.memory.verifiers if self.memory else [])]
            self.own.check_keys(policy, anchors, bool(self.report.minimum))

    def _kept(self, policy: Optional[Policy]) -> list[tuple[Checkpoint, Kept, str]]:
        """Return the checkpoints that others kept of this log, each with its kind."""
        origin = self.report.origin or (policy.origin if policy else "")
        memory = self.memory
        kept = []
        if memory is not None and memory.kept:
            if origin and memory.origin != origin:
                message = f"The log was {memory.origin} before, now it is {origin}."
                self._wrong("remembered", "the remembered checkpoints", message)
            kept += [(each.head(), each, "remembered") for each in memory.kept]
        known = {*(policy.trusted if policy else ()), *self.trusted, *(memory.verifiers if memory else ())}
        ours = 0
        for each in self.witnesses or ():
            head = each.head()
            if head.origin not in (origin, memory.origin if memory else origin):
                continue
            ours += 1
            try:
                parse_with_note(each.note, known)
            except IntegrityError as error:
                where = f"the checkpoint of {head.size} entries in {each.where}"
                self._wrong("witness", where, f"It does not hold with the keys of the log: {error.message}")
                continue
            kept.append((head, each, "witness"))
        if self.witnesses is not None and not ours:
            self._wrong("witness", "the witness", f"It holds no checkpoint of this log ({origin}).")
        return kept

    def _compare(self, tree: TreeCheck, kept: list[tuple[Checkpoint, Kept, str]]) -> None:
        report = self.report
        roots = tree.root_at(each.size for each, _kept, _kind in kept)
        hidden = 0
        right: dict[str, list[int]] = {"remembered": [], "witness": []}
        wrong: list[tuple[int, str, str]] = []
        for each, source, kind in kept:
            where = source.where if kind == "remembered" else f"the checkpoint of {each.size} entries in {source.where}"
            if each.size > report.size:
                message = f"The log has only {report.size} entries now, once it had {each.size}: it was rolled back."
                self._wrong(kind, where, message, report.size)
            elif roots.get(each.size) is None and each.size <= report.minimum:
                hidden += 1
            elif roots.get(each.size) != each.root:
                wrong.append((each.size, kind, where))
            else:
                right[kind].append(each.size)
        good = max((size for sizes in right.values() for size in sizes), default=0)
        for size, kind, where in sorted(wrong):
            since = max((each for each in [*right["remembered"], *right["witness"], 0] if each < size), default=0)
            message = f"The log does not continue it: something among the entries {since} to {size - 1} was changed."
            self._wrong(kind, where, message, since)
        if hidden:
            report.notes.append(f"{hidden} older checkpoints lie in the pruned part and could not be compared.")
        report.remembered, report.witnessed = sorted(set(right["remembered"])), sorted(set(right["witness"]))
        if report.witnessed:
            report.proves = f"{WITH_WITNESS} The newest is that of {report.witnessed[-1]} entries."
        elif report.remembered:
            report.proves = f"{WITH_MEMORY} The newest is that of {good} entries."
        if not report.ok:
            report.proves = BROKEN


def _with_heads(parts: list[Part], sizes: Iterable[int]) -> list[Part]:
    """Give each part the sizes of trees that end in it."""
    wanted = sorted({size for size in sizes if size % TILE_WIDTH})
    given = []
    for at, part in enumerate(parts):
        stop = parts[at + 1].first if at + 1 < len(parts) else None
        heads = tuple(size for size in wanted if size > part.first and (stop is None or size < stop))
        given.append(replace(part, heads=heads))
    return given


def _is_held(path: str) -> bool:
    """Return whether another process has the lock of the log, without touching it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        asked = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        return struct.unpack("hhqqi4x", fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK
    finally:
        os.close(descriptor)


def _beyond(each: Difference, stop: int) -> bool:
    """Return whether a difference lies behind the entries that the tree covers."""
    return each.kind in ("inserted", "duplicated") and each.index >= stop
