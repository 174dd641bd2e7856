# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the benchmarks: ``make bench``, or ``make bench ARGS="audit --rounds 3"``; figures go to docs/benchmarks.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ALL = ("audit", "provision", "permissions", "guard", "network")


def main(arguments: list[str]) -> int:
    """Run the benchmark that ``arguments`` begin with, with the others as its options; or all."""
    if arguments and arguments[0] not in ALL:
        raise SystemExit(
            f"ARGS begins with {' or '.join(ALL)}, and options of that benchmark follow; without, all run."
        )
    chosen = arguments[:1] or ALL
    programs = [[sys.executable, str(HERE / name / "run.py"), *arguments[1:]] for name in chosen]
    return max(subprocess.run(program, check=False).returncode for program in programs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
