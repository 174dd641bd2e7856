# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small but complete log, and how somebody could change it."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.checkpoint import Checkpoint, sign
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.keys import Keyring
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.merkle import leaf_hash
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.remembered import Memory
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.tiles import TreeWriter
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.verdict import Finding, Report
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.verify import verify
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.log import Log

ACTIVE = "audit.jsonl"
SEGMENT = "segments/00000000000000000000.jsonl.gz"
CLOSED = 256


def append(directory: Path, lines: list[bytes], segment_bytes: int = 10**9) -> None:
    """Append lines (given without newlines) as a run does and sign them."""
    with Log.wait(str(directory)) as log:
        log.segment_bytes = segment_bytes
        log.append(b"".join(line + b"\n" for line in lines))


def _put(path: Path, data: bytes) -> None:
    """Write a file in place; cutting it to nothing first would make some file systems wait for the disk."""
    with open(path, "r+b" if path.exists() else "wb") as handle:
        handle.write(data)
        handle.truncate()


class SmallLog:
    """A log with a compressed segment of 256 entries, an active one of four, tiles on two levels, and a memory."""

    def __init__(self, base: Path) -> None:
        self.path = base / "audit"
        self.memory = str(base / "memory.json")
        append(self.path, [b'{"n":%d}' % number for number in range(CLOSED)], 1)
        append(self.path, [b'{"n":%d}' % number for number in range(CLOSED, CLOSED + 2)])
        assert self.report().ok
        self.remembered = Memory(self.memory)

    def report(self, **options) -> Report:
        """Verify it against the memory."""
        return verify(str(self.path), memory=Memory(self.memory), parse=False, **options)

    def findings(self) -> list[Finding]:
        """What verification says; the memory is read only once."""
        return verify(str(self.path), memory=self.remembered, parse=False).findings

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    @contextlib.contextmanager
    def changed(self, name: str, data: bytes | None) -> Iterator[None]:
        """Let the file ``name`` hold ``data``, or be gone, for a while."""
        before = self.read(name)
        try:
            if data is None:
                (self.path / name).unlink()
            else:
                _put(self.path / name, data)
            yield
        finally:
            _put(self.path / name, before)

    def lines(self, name: str) -> list[bytes]:
        data = self.read(name)
        return (gzip.decompress(data) if name.endswith(".gz") else data).splitlines()

    @contextlib.contextmanager
    def rewritten(self, name: str, lines: list[bytes]) -> Iterator[None]:
        """Let a segment hold these lines, the state of the log brought into line."""
        data = b"".join(line + b"\n" for line in lines)
        state = json.loads(self.read("state.json"))
        if name == ACTIVE:
            state.update(entries=state["first"] + len(lines), bytes=len(data))
        else:
            data = gzip.compress(data, mtime=0)
        with self.changed("state.json", json.dumps(state).encode()), self.changed(name, data):
            yield

    def forge(self, lines: list[bytes], keep_key: bool) -> None:
        """Make another log of these lines in its place, consistent in itself, as root on the controller can."""
        keys = self.path / "keys"
        kept = self.path.parent / "kept"
        origin = Keyring(str(self.path)).origin
        if keep_key:
            shutil.copytree(keys, kept)
        shutil.rmtree(self.path)
        if keep_key:
            self.path.mkdir(0o700)
            shutil.move(kept, keys)
            tree = TreeWriter(str(self.path))
            tree.append(map(leaf_hash, lines))
            tree.flush()
            head = Checkpoint(origin, tree.size, tree.root())
            (self.path / "checkpoint").write_bytes(sign(head, Keyring(str(self.path)).signers()))
            (self.path / ACTIVE).write_bytes(b"".join(line + b"\n" for line in lines))
            return
        Keyring(str(self.path), origin).signers()
        append(self.path, lines)


def at(findings: list[Finding]) -> set[str]:
    """Return the places that findings name."""
    return {finding.where for finding in findings}


def flips(data: bytes, bits: range = range(8)) -> Iterator[tuple[int, bytes]]:
    """Yield ``(byte, data with one bit of this byte flipped)`` for each of these bits of every byte."""
    for byte in range(len(data)):
        for bit in bits:
            changed = bytearray(data)
            changed[byte] ^= 1 << bit
            yield byte, bytes(changed)


def copy(source: Path, target: Path) -> None:
    """Copy a log directory with everything in it."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(source, target)
