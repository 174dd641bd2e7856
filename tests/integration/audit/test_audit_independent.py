# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program of other people's libraries verifies our logs: Go's sumdb/note and sumdb/tlog, and nothing of ours.

It needs Debian's packages golang-go and golang-golang-x-mod-dev, no network and no module cache.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
from audit_lab import Controller

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.bundle import entries_at, prove
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.checkpoint import parse
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.keys import Keyring
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.merkle import consistency_proof
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.tiles import TileReader
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.log import Log

SOURCE = Path(__file__).with_name("auditlog.go")
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "{{ item }}"
      loop: [a, b, c]
"""


@pytest.fixture(scope="module")
def auditlog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("go")
    program = directory / "auditlog"
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": "/usr/share/gocode",
        "GOCACHE": str(directory / "cache"),
        "GOPROXY": "off",
        "GOFLAGS": "",
    }
    subprocess.run(["go", "vet", str(SOURCE)], env=environment, check=True, timeout=300)
    subprocess.run(["go", "build", "-o", str(program), str(SOURCE)], env=environment, check=True, timeout=300)
    return program


class Lab:
    """A log that runs wrote, longer by more lines, with its old checkpoints and proofs, exported."""

    def __init__(self, controller: Controller, program: Path) -> None:
        self.log = controller.log
        self.export = controller.directory / "export"
        self._program = program
        self._old: list[bytes] = []
        controller.run(controller.playbook(PLAYBOOK))
        self.grow(0)

    def toolkit(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "ansible_collections.scripts.toolkit.cli", "audit", *map(str, arguments)]
        subprocess.run([*command, "--log-directory", str(self.log)], check=True, timeout=60)

    def grow(self, lines: int, segment_bytes: int = 10**9) -> None:
        """Append lines, and keep the checkpoint for later."""
        with Log.wait(str(self.log)) as log:
            log.segment_bytes = segment_bytes
            if lines:
                log.append(b"".join(b'{"n":%d,"of":%d}\n' % (number, lines) for number in range(lines)))
        self._old.append((self.log / "checkpoint").read_bytes())

    def make(self) -> list[int]:
        """Export the log with proofs; return the sizes of the old checkpoints."""
        self.toolkit("export", "--format", "tlog-tiles", "--output", self.export)
        verifiers = Keyring(str(self.log)).verifiers()
        now = parse((self.log / "checkpoint").read_bytes(), verifiers)
        reader = TileReader(str(self.log), now.size)
        (self.export / "old").mkdir(exist_ok=True)
        sizes = []
        for data in self._old:
            size = parse(data, verifiers).size
            name = self.export / "old" / f"{size:06d}"
            name.with_suffix(".checkpoint").write_bytes(data)
            proof = consistency_proof(size, now.size, reader.node)
            name.with_suffix(".consistency").write_bytes(b"".join(base64.b64encode(step) + b"\n" for step in proof))
            sizes.append(size)
        return sizes

    def prove(self, *entries: int) -> None:
        (self.export / "proofs").mkdir(exist_ok=True)
        found = [next(entries_at(str(self.log), entry)) for entry in entries[:-1]]
        for proof in prove(str(self.log), found):
            (self.export / "proofs" / f"{proof.index:06d}.tlog-proof").write_bytes(proof.encode())
        self.toolkit("prove", entries[-1], "--output", self.export / "proofs" / f"{entries[-1]:06d}.tlog-proof")

    def verify(self) -> subprocess.CompletedProcess:
        keys = self.export / "log.vkeys"
        return subprocess.run(
            [str(self._program), str(keys), str(self.export)], capture_output=True, text=True, check=False, timeout=60
        )


@pytest.fixture
def lab(controller: Controller, auditlog: Path) -> Lab:
    return Lab(controller, auditlog)


def test_it_verifies_a_log_over_its_whole_life(lab: Lab) -> None:
    first = parse((lab.log / "checkpoint").read_bytes(), Keyring(str(lab.log)).verifiers()).size
    for lines in (1, 2, 250, 3, 255):
        lab.grow(lines, segment_bytes=1)
    lab.toolkit("key", "rotate")
    lab.grow(66_000)
    sizes = lab.make()
    size = sizes[-1]
    lab.prove(0, first, 255, 256, 65_535, size - 1)
    done = lab.verify()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"checkpoint {size} signed by 2",
        f"entries {size}",
        f"tiles {-(-size // 256) + 2 + 1}",
        *(f"proof {entry} of {size}" for entry in (0, first, 255, 256, 65_535, size - 1)),
        *(f"consistency {old} to {size}" for old in sizes),
    ]
    assert first > 8
    assert (lab.log / "segments").is_dir()


def test_it_goes_on_with_an_export_that_grew(lab: Lab) -> None:
    lab.make()
    lab.grow(700)
    sizes = lab.make()
    done = lab.verify()
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"consistency {sizes[-1]} to {sizes[-1]}")
    assert f"consistency {sizes[0]} to {sizes[-1]}" in done.stdout


def test_it_finds_what_was_changed(lab: Lab) -> None:
    lab.grow(300)
    size = lab.make()[-1]
    lab.prove(1)
    old = min((lab.export / "old").glob("*.checkpoint"))
    for name, offset, message in (
        ("checkpoint", 3, "invalid signature"),
        ("tile/entries/000", 700, "do not have the signed root"),
        ("tile/0/000", 99, "tile/0/000: not the hashes"),
        ("proofs/000001.tlog-proof", 60, "000001.tlog-proof"),
        (old.relative_to(lab.export).with_suffix(".consistency").as_posix(), 5, "invalid"),
    ):
        path = lab.export / name
        before = path.read_bytes()
        changed = bytearray(before)
        changed[offset] ^= 1
        path.write_bytes(bytes(changed))
        done = lab.verify()
        assert done.returncode == 1, name
        assert message in done.stderr, name
        path.write_bytes(before)
    done = lab.verify()
    assert (done.returncode, f"entries {size}" in done.stdout) == (0, True)
