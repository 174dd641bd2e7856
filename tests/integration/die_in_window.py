# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start an Ansible that changes one host by commit-confirm, and kill all of it with SIGKILL while it tries to confirm.

Usage: die_in_window.py HOST MODULE JSON-ARGUMENTS INVENTORY...
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path


def descendants(root: int) -> list[int]:
    """Return the process and all below it: Ansible's workers have sessions of their own, so no group has them all."""
    parents = {}
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            status = Path("/proc", str(pid), "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        parents[pid] = int(status.rpartition(")")[2].split()[1])
    family = [root]
    for pid in family:
        family += [child for child, parent in parents.items() if parent == pid]
    return family


def main() -> int:
    host, module, arguments, *inventories = sys.argv[1:]
    argv = ["ansible", "-v", host, "-m", module, "-a", arguments]
    for inventory in inventories:
        argv += ["-i", inventory]
    # Without it, Ansible's lines come in blocks, and the window is over when they do.
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as ansible:
        lines = []
        for line in ansible.stdout:
            lines.append(line)
            if "commit-confirm: attempt 1 brought no answer" in line:
                for pid in descendants(ansible.pid):
                    os.kill(pid, signal.SIGKILL)
                ansible.wait()
                print("killed in the window")
                return 0
    print("".join(lines))
    return 1


if __name__ == "__main__":
    sys.exit(main())
