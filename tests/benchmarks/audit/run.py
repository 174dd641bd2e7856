# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the audit trail costs, against others who record runs: ``make bench ARGS=audit``, figures in docs/benchmarks.md.

The parts: callback (processor time per result), large (50 hosts by 100 tasks), whole (whole runs), memory, append,
verify, index. The first three compare; who can't be had is left out and named.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible_collections.scripts.toolkit.tests.benchmarks import measured
from ansible_collections.scripts.toolkit.tests.benchmarks.audit import others, tables, whole

ROOT = Path(__file__).resolve().parents[3]
# The staged collection, which is what Ansible sees and what the programs run from.
HERE = others.HERE
COLLECTIONS = str(HERE.parents[5])
BUILD = ROOT / ".build" / "bench"
FAST = ("none", "ours", "log_plays", "jsonl", "otel_live", "otel_dead")
SLOW = ("none", "ara_http", "ara_offline")
IN_THE_RUN = ("ours", "bare", "default", "log_plays", "jsonl", "otel_live")
REPLAYED = ("ours", "bare", "default", "log_plays", "jsonl", "otel_live", "otel_dead")


def tell(text: str) -> None:
    """Show progress on standard error."""
    print(text, file=sys.stderr, flush=True)


class Bench:
    """The parts of the benchmark.

    :param programs: directory of the programs of the environment with the peers.
    :param absent: the recorders that can't take part.
    :param rounds: how often each is measured.
    """

    def __init__(self, programs: Path, absent: dict[str, str], rounds: int, work: Path) -> None:
        self._programs, self.absent, self._rounds, self._work = programs, absent, rounds, work
        self._own = Path(sys.executable).parent
        self.entries = 1_000_000
        self._stack = contextlib.ExitStack()
        self._ports: dict[str, int] = {"dead": others.free_port()}
        self._servers: dict[str, subprocess.Popen] = {}

    def begin(self, parts: list[str]) -> None:
        """Start the receivers that the parts need."""
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(parents=True)
        if {"callback", "whole"} & set(parts) and not self.absent:
            for kind, recorder in (("otel", "otel_live"), ("ara", "ara_http")):
                served = others.serve(kind, self._programs, self._work / f"{kind}-server")
                self._ports[kind], self._servers[recorder] = self._stack.enter_context(served)

    def end(self) -> None:
        """Stop them."""
        self._stack.close()
        shutil.rmtree(self._work, ignore_errors=True)

    def _there(self, names: tuple[str, ...]) -> list[str]:
        return [name for name in names if name not in self.absent]

    def _program(self, name: str, *arguments: str, programs: Path | None = None) -> dict:
        """Run a program beside this one and return the JSON that it prints."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "SCRIPTS_TOOLKIT"))}
        done = subprocess.run(
            [str((programs or self._programs) / "python"), str(HERE / name), *arguments],
            stdout=subprocess.PIPE, env=kept, cwd=self._work, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{name} {' '.join(arguments)}: exit status {done.returncode}")
        return json.loads(done.stdout)

    def _replay(self, names: list[str], *arguments: str) -> dict:
        environments = {}
        for name in names:
            own = others.environment_of(name, self._programs, self._work / f"replay-{name}", self._ports)
            own["BENCH_ARA_PLUGINS"] = own.pop("ANSIBLE_CALLBACK_PLUGINS", "")
            environments[name] = {key: value for key, value in own.items() if not key.startswith("ANSIBLE_CALLBACKS")}
        fixed = ("--collections", COLLECTIONS, "--environments", json.dumps(environments))
        return self._program("replay.py", "--only", ",".join(names), *fixed, *arguments)

    def callback(self) -> dict:
        """Processor time per result: in a run of 1,000 results, and replayed."""
        size = ("--hosts", "10", "--tasks", "100")
        few = min(self._rounds, 3)  # each has 1,000 results of everybody, and everybody is in it
        in_the_run = [self._replay(self._there(IN_THE_RUN), "--in-the-run", *size) for _round in range(few)]
        found = {
            "in_the_run": {name: [one[name] for one in in_the_run] for name in in_the_run[0]},
            "replayed": self._replay(self._there(REPLAYED), "--rounds", str(self._rounds), *size),
        }
        if not self.absent:
            small = ("--rounds", str(few), "--hosts", "10", "--tasks", "10")
            found["replayed_ara"] = self._replay(["ours", "ara_offline", "ara_http"], *small)
        return found

    def large(self) -> dict:
        """The same for 50 hosts by 100 tasks, ours and a bare appender."""
        names = ["ours", "bare", "default"]
        return {"in_the_run": self._replay(names, "--in-the-run", "--hosts", "50", "--tasks", "100")}

    def whole(self) -> dict:
        """Whole runs in turn: 1,000 results, and with ARA 100."""
        place, servers = self._work / "whole", self._servers
        runs = whole.Whole(self._programs, place / "1000", (10, 100), self._ports, servers)
        tell("1,000 results:")
        found = {"1000": runs.rounds(self._there(FAST), self._rounds, tell)}
        if not self.absent:
            tell("100 results:")
            runs = whole.Whole(self._programs, place / "100", (10, 10), self._ports, servers)
            found["100"] = runs.rounds(SLOW, self._rounds, tell)
        return found

    def memory(self) -> dict:
        """Resident memory by number of results."""
        return self._program("memory.py", "--collections", COLLECTIONS, "--directory", str(self._work))

    def memory_and_index(self) -> dict:
        """Both at once: no time counts in the first, and each takes one core."""
        with ThreadPoolExecutor(1) as pool:
            memory = pool.submit(self.memory)
            found = self.index()
            return {"memory": memory.result(), "index": found}

    def append(self) -> dict:
        """Events per second that the store takes."""
        return self._program("rates.py", "append", "--directory", str(self._work), programs=self._own)

    def verify(self) -> dict:
        """Entries per second that are verified."""
        return self._program("rates.py", "verify", "--directory", str(self._work), programs=self._own)

    def index(self) -> dict:
        """Index rate and search times."""
        arguments = ("--entries", str(self.entries), "--rounds", "5", "--directory", str(self._work))
        return self._program("index.py", *arguments, programs=self._own)


PARTS = ("callback", "large", "whole", "memory", "append", "verify", "index")


def measure(bench: Bench, parts: list[str]) -> dict:
    """Measure the parts and return all figures; a part that fails is told, and the others are measured all the same."""
    found: dict = {"failed": {}, "seconds": {}}
    together = {"memory", "index"} <= set(parts)
    for part in [
        *(part for part in parts if not (together and part in ("memory", "index"))),
        *(["memory_and_index"] * together),
    ]:
        began = time.monotonic()
        tell(f"{part} ...")
        work: Callable[[], dict] = getattr(bench, part)
        try:
            figures = work()
            found.update(figures if part == "memory_and_index" else {part: figures})
        except (SystemExit, OSError, ValueError) as error:
            found["failed"][part] = str(error)
            tell(f"{part}: {error}")
        found["seconds"][part] = round(time.monotonic() - began)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--parts", default=",".join(PARTS), help="of %(default)s")
    parser.add_argument(
        "--venv",
        type=Path,
        default=os.environ.get("BENCH_AUDIT_VENV"),
        help="a virtual environment with requirements.txt (default: BENCH_AUDIT_VENV, else it is made)",
    )
    parser.add_argument(
        "--entries", type=int, default=1_000_000, help="of the log that is indexed (default: %(default)s)"
    )
    parser.add_argument(
        "--add", action="store_true", help="keep the figures of the last time of the parts that are not measured now"
    )
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(arguments)
    parts = options.parts.split(",")
    if set(parts) - set(PARTS) or options.rounds < 1:
        parser.error(f"--parts are of {', '.join(PARTS)}; --rounds is 1 or more")
    path = BUILD / "audit.json"
    before = json.loads(path.read_text(encoding="utf-8")) if options.add and path.exists() else None
    programs, absent = others.find_environment(options.venv, BUILD / "audit-venv", tell)
    bench = Bench(programs, absent, options.rounds, BUILD / "audit-work")
    bench.entries = options.entries
    try:
        bench.begin(parts)
        result = measure(bench, parts)
    finally:
        bench.end()
    result |= {
        "machine": measured.machine(),
        "versions": others.versions(programs),
        "left_out": absent,
    }
    result["runs"] = [
        {
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "load": os.getloadavg()[0],
            "seconds": result.pop("seconds"),
            "command": f"make bench ARGS={shlex.quote(' '.join(['audit', *arguments]))}",
        }
    ]
    if before is not None:
        try:
            result = tables.joined(before, result)
        except ValueError as error:
            result["failed"]["--add"] = str(error)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(tables.report(result))
    if options.write and not result["failed"]:
        page = ROOT / "docs" / "benchmarks.md"
        page.write_text(tables.put(page.read_text(encoding="utf-8"), tables.report(result)), encoding="utf-8")
    tell(f"All figures: {path}")
    return 1 if result["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
