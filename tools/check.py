# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run what guards the repository, and sum it up on one line: N passed, N failed.

    python3 tools/check.py [lint] [sanity] [unit] [integration]      (all of them without an argument)

Everything is run to its end, so that one call shows all that is wrong. What is counted: for lint the tools, for sanity
and unit the tests, for integration the scenarios and tests; each on the newest and on the oldest supported
ansible-core. Steps that share no files run side by side: a play waits for its hosts most of the time.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import environments
import stage

ROOT = stage.ROOT
LINT = environments.FAMILIES["lint"][0] / "bin"
IMPORTER = environments.FAMILIES["importer"][0] / "bin"
FAMILIES = ("main", "floor")
_ON_OLDEST = (
    "tests/integration/provision/test_profile.py",
    *(f"tests/integration/audit/test_audit_{name}.py" for name in ("runs", "secrets", "start", "ways")),
    *(f"tests/integration/guard/test_guarded_{name}.py" for name in ("task", "hosts")),
)
_SCREEN = threading.Lock()
_LIMIT = 3600
"""Seconds that one step may take."""
_FAILURE = re.compile(r"^(?:(?:FAILED|ERROR) tests/|SCENARIO \S+ +FAILED|FATAL: |ERROR: ).*", re.MULTILINE)
"""How pytest, tools/molecule.sh and ansible-test tell what failed."""
_SHOWN = 20


@dataclass
class Count:
    """How many tests of a step passed and failed, and what is known of those that failed, a line each."""

    passed: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)


def say(text: str) -> None:
    """Print to standard output, whole texts at a time."""
    with _SCREEN:
        print(text, flush=True)


def call(name: str, argv: list, count: Callable[[int, str], Count], live: bool = False, **kwargs) -> Count:
    """Run one step, show its output (at its end, or as it comes with ``live``), and return its count."""
    say(f"--- {name}")
    began, lines = time.monotonic(), []
    # A step that hangs must not hold up the rest for ever.
    command = ["timeout", "-k", "30", str(_LIMIT), *map(str, argv)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs
    ) as process:
        for line in process.stdout:
            lines.append(line)
            if live:
                say(line.rstrip("\n"))
    output = "".join(lines)
    result = count(process.returncode, output)
    if process.returncode and not result.failed:
        result.failed = 1
    if result.failed:
        told = _FAILURE.findall(output)[:_SHOWN] or [f"exit status {process.returncode}"]
        result.failures = [f"{name}: {line}" for line in told]
    shown = "" if live or not (result.failed or "WARNING" in output) else output
    verdict, took = "FAILED" if result.failed else "ok", f"{time.monotonic() - began:.0f} s"
    say(f"{shown}=== {name}: {verdict}, {result.passed} passed, {result.failed} failed, {took}")
    return result


def one(returncode: int, _output: str) -> Count:
    """Count a tool as one test."""
    return Count(failed=1) if returncode else Count(passed=1)


def sanity_count(returncode: int, output: str) -> Count:
    """Count the tests of ansible-test; what it could not run (but for a missing interpreter) is a failure."""
    ran = len(re.findall(r"^Running sanity test ", output, re.MULTILINE))
    failed = re.search(r"^FATAL: The (\d+) sanity test", output, re.MULTILINE)
    missing = len(re.findall(r"^WARNING: Required program ", output, re.MULTILINE))
    failures = (int(failed[1]) if failed else int(bool(returncode))) + missing
    return Count(max(ran - failures, 0), failures)


def pytest_count(_returncode: int, output: str) -> Count:
    """Count pytest's tests; a skipped one is a failure, since nobody would notice what it no longer tests."""
    numbers = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error|skipped)", output[-300:])}
    return Count(numbers.get("passed", 0), sum(numbers.values()) - numbers.get("passed", 0))


def scenario_count(_returncode: int, output: str) -> Count:
    """Count the scenarios that tools/molecule.sh lists at its end."""
    results = re.findall(r"^SCENARIO \S+ +(ok|FAILED) ", output, re.MULTILINE)
    return Count(results.count("ok"), results.count("FAILED"))


def importer_count(returncode: int, output: str) -> Count:
    """Count Galaxy's importer as one test; a warning fails it."""
    return one(returncode or int(bool(re.search(r"^(WARNING|ERROR)", output, re.MULTILINE))), output)


def lint() -> list[Count]:
    """The tools that read files: ruff, ansible-lint, antsibull-docs, antsibull-changelog, Galaxy's importer."""
    tree = stage.TARGET
    environment = {**os.environ, "PATH": f"{LINT}:{os.environ['PATH']}", "NO_COLOR": "1"}
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / ".build")
    environment["ANSIBLE_ACTION_PLUGINS"] = str(tree / "tests" / "integration" / "plugins" / "action")
    options = {"cwd": tree, "env": environment}
    docs = [LINT / "antsibull-docs", "lint-collection-docs", "--plugin-docs", "--disallow-unknown-collection-refs", "."]
    counts = [
        call("ruff check", [LINT / "ruff", "check", "--no-cache"], one, **options),
        call("ruff format", [LINT / "ruff", "format", "--no-cache", "--diff"], one, **options),
        call("ansible-lint", [LINT / "ansible-lint", "--nocolor", "-q"], one, **options),
        call("antsibull-docs", docs, one, **options),
        call("antsibull-changelog", [LINT / "antsibull-changelog", "lint"], one, **options),
    ]
    if IMPORTER.is_dir():
        counts.append(importer(tree))
    return counts


def importer(tree: Path) -> Count:
    """Build the tarball and have it judged as Galaxy would on an upload."""
    output = ROOT / ".build" / "dist"
    output.mkdir(parents=True, exist_ok=True)
    for old in output.glob("*.tar.gz"):
        old.unlink()
    build = [LINT / "ansible-galaxy", "collection", "build", "--output-path", output, tree]
    built = call("ansible-galaxy collection build", build, one)
    tarballs = list(output.glob("*.tar.gz"))
    if built.failed or not tarballs:
        return Count(failed=1)
    environment = {**os.environ, "PATH": f"{IMPORTER}:{os.environ['PATH']}", "NO_COLOR": "1"}
    environment["GALAXY_IMPORTER_CHECK_REQUIRED_TAGS"] = "true"
    environment["GALAXY_IMPORTER_REQUIRE_V1_OR_GREATER"] = "true"
    command = [IMPORTER / "python", "-m", "galaxy_importer.main", tarballs[0]]
    return call("galaxy-importer", command, importer_count, cwd=output, env=environment)


def sanity() -> list[Count]:
    """ansible-test sanity, all tests."""
    return [call(f"sanity, {name}", [ROOT / "tools" / "sanity.sh", name], sanity_count) for name in available()]


def unit() -> list[Count]:
    """pytest."""
    return [call(f"unit, {name}", [ROOT / "tools" / "pytest.sh", name], pytest_count) for name in available()]


def molecule() -> list[Count]:
    """The molecule scenarios."""
    script = ROOT / "tools" / "molecule.sh"
    return [call(f"molecule, {name}", [script, name], scenario_count, live=True) for name in available()]


def hosts() -> list[Count]:
    """The tests of real runs and those that boot hosts of their own, on the newest Debian; on the oldest core, the
    profile, the trail and guarded tasks, on Debian 12."""
    counts = []
    for name in available():
        tests = ("tests/integration",) if name == "main" else _ON_OLDEST
        suites = "trixie" if name == "main" else "bookworm"
        environment = {**os.environ, "TOOLKIT_SUITES": suites}
        # Tests on real hosts take longer than a unit test that hangs.
        command = [ROOT / "tools" / "pytest.sh", name, "-o", "faulthandler_timeout=1500", "--durations=15", *tests]
        counts.append(call(f"integration, {name}", command, pytest_count, env=environment))
    return counts


def available() -> list[str]:
    """The families whose interpreters exist."""
    return [name for name in FAMILIES if environments.FAMILIES[name][0].is_dir()]


Step = tuple[str, Callable[[], list[Count]]]
STAGES: tuple[tuple[tuple[Step, ...], ...], ...] = (
    ((("sanity", sanity),), (("lint", lint), ("unit", unit))),
    ((("integration", molecule),), (("integration", hosts),)),
)
"""Stages, one after the other; their lanes run side by side, the steps of a lane one after the other."""
STEPS = list(dict.fromkeys(name for lanes in STAGES for lane in lanes for name, _work in lane))


def in_turn(lane: list[Step]) -> list[Count]:
    """Run steps one after the other."""
    return [count for _name, work in lane for count in work()]


def main(arguments: list[str]) -> int:
    names = list(arguments or STEPS)
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        raise SystemExit(f"{', '.join(unknown)}: no such step. There are {', '.join(STEPS)}.")
    families = {
        "main",
        *(FAMILIES if set(names) - {"lint"} else ()),
        *(("lint", "importer") if "lint" in names else ()),
    }
    if environments.main([name for name in environments.FAMILIES if name in families]):
        return 1
    stage.stage()
    counts: list[Count] = []
    for lanes in STAGES:
        with ThreadPoolExecutor() as pool:
            for found in pool.map(in_turn, [[step for step in lane if step[0] in names] for lane in lanes]):
                counts += found
    passed, failed = sum(count.passed for count in counts), sum(count.failed for count in counts)
    # At the very end, where it is seen even if only the end of the output was kept.
    print("", *(line for count in counts for line in count.failures), f"{passed} passed, {failed} failed", sep="\n")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
