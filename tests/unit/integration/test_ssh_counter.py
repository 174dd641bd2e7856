# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The counter of remote calls counts what runs a command on a host, and passes everything on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

COUNTER = Path(__file__).resolve().parents[2] / "integration" / "bin" / "ssh-counter"


def call(directory: Path, *arguments: str, count: bool = True) -> tuple[list[str], list[str]]:
    """Return what a stand-in for ssh was given, and the lines counted."""
    fake = directory / "ssh"
    fake.write_text('#!/bin/sh\nfor argument; do printf "%s\\0" "$argument"; done\n', encoding="utf-8")
    fake.chmod(0o755)
    log = directory / "log"
    environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}
    environment["SSH_COUNTER_LOG"] = str(log) if count else ""
    done = subprocess.run([str(COUNTER), *arguments], capture_output=True, text=True, check=True, env=environment)
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return done.stdout.split("\0")[:-1], lines


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["-C", "-o", "ControlMaster=auto", "-o", "Port=22", "web01", "/bin/sh -c 'true'"],
            ["web01\t/bin/sh -c 'true'"],
        ),
        (["-o", "User=x", "-tt", "10.0.0.1", "first\nsecond"], ["10.0.0.1\tfirst second"]),
        (["-O", "stop", "-o", "ControlPath=/x", "web01"], []),
        (["-o", "Port=22", "-N", "web01"], []),
        (["-V"], []),
    ],
)
def test_counts_remote_commands_only(tmp_path: Path, arguments: list[str], expected: list[str]) -> None:
    given, counted = call(tmp_path, *arguments)
    assert given == arguments
    assert counted == expected


def test_counts_nothing_without_a_log(tmp_path: Path) -> None:
    given, counted = call(tmp_path, "web01", "true", count=False)
    assert (given, counted) == (["web01", "true"], [])
