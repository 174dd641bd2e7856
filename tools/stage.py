# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copy the checkout to .build/ansible_collections/scripts/toolkit, where Ansible, ansible-test and pytest find it.

Copied is what git lists or would list (tracked, and new but not ignored), so that neither the virtual environments nor
leftovers reach a test; without git, everything but them. Only what differs is written. Prints the target.

    python3 tools/stage.py [ROOM]      a copy of its own, in .build/ROOM, for a tool that writes into the tree it reads
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLLECTION = Path("ansible_collections", "scripts", "toolkit")
TARGET = ROOT / ".build" / COLLECTION
_NOT_SOURCE = {
    ".git",
    ".build",
    ".venv",
    "dist",
    "__pycache__",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
    ".ansible",
}


def listed() -> list[str]:
    """Return the relative paths of the source files."""
    try:
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        names = [name for name in output.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = []
        for directory, subdirectories, files in os.walk(ROOT):
            subdirectories[:] = [name for name in subdirectories if name not in _NOT_SOURCE]
            names += [os.path.relpath(os.path.join(directory, name), ROOT) for name in files]
    return sorted({name for name in names if (ROOT / name).is_file() or (ROOT / name).is_symlink()})


def same(source: Path, target: Path) -> bool:
    """True if the target has the size, time and mode of the source, or points where it points."""
    if source.is_symlink():
        return target.is_symlink() and os.readlink(source) == os.readlink(target)
    if not target.is_file() or target.is_symlink():
        return False
    left, right = source.stat(), target.stat()
    return (left.st_size, left.st_mtime_ns, left.st_mode) == (right.st_size, right.st_mtime_ns, right.st_mode)


def stage(target: Path = TARGET) -> Path:
    """Bring the target up to date and return it. Others who stage at the same time wait."""
    target.mkdir(parents=True, exist_ok=True)
    with open(ROOT / ".build" / "stage.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _bring_up_to_date(target)
    return target


def _bring_up_to_date(target: Path) -> None:
    wanted = listed()
    for name in wanted:
        if not same(ROOT / name, target / name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).unlink(missing_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    keep = set(wanted)
    for directory, subdirectories, files in os.walk(target, topdown=False):
        for name in files:
            path = Path(directory, name)
            # ansible-test writes its own output there; it makes and removes that itself.
            relative = path.relative_to(target).as_posix()
            if relative not in keep and not relative.startswith("tests/output/"):
                path.unlink(missing_ok=True)
        for name in subdirectories:
            # A directory that is not empty stays; a Python that runs may just write its bytecode there.
            with contextlib.suppress(OSError):
                Path(directory, name).rmdir()


if __name__ == "__main__":
    target = ROOT / ".build" / sys.argv[1] / COLLECTION if sys.argv[1:] else TARGET
    sys.stdout.write(f"{stage(target)}\n")
