# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the time of our run goes, read from its audit trail: all of the wall clock belongs to some part."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from statistics import median

__all__ = ["entries_of_last_run", "median_parts", "parts"]

_OURS = "scripts.toolkit."
_CONTROLLER_ONLY = ("scripts.toolkit.site_check",)
_FACTS = "ansible.builtin.raw"
_PLANNING = "scripts.toolkit.role_plans"

START, PLAN, END = "Start of ansible-playbook", "Planning, on the controller", "End of the run and its record"


def entries_of_last_run(lines: Iterable[str]) -> list[dict]:
    """Return the entries of the run that wrote the last line of an audit trail."""
    entries = [json.loads(line) for line in lines]
    return [entry for entry in entries if entry["run_id"] == entries[-1]["run_id"]] if entries else []


def parts(entries: Sequence[Mapping], began: float, wall: float) -> dict[str, tuple[float, int]]:
    """Return ``{part: (seconds, tasks)}``; the seconds add up to ``wall``.

    A part is the start, each task that works on the host or proves the outcome, all planning tasks together, and the
    end. A task takes from the result before it to its own, so the strategy's share counts, too.

    :param entries: the trail of one run on one host.
    :param began: seconds since the epoch when the program was started.
    :param wall: seconds that it took.
    """
    found: dict[str, tuple[float, int]] = {}
    clock = began

    def add(part: str, until: float, tasks: int = 0) -> None:
        nonlocal clock
        seconds, count = found.get(part, (0.0, 0))
        found[part] = (seconds + until - clock, count + tasks)
        clock = until

    for entry in entries:
        moment = datetime.fromisoformat(entry["timestamp"].replace("Z", "+00:00")).timestamp()
        if entry["event_type"] in ("EXECUTION_START", "PLAY_START"):
            add(START, moment)
        elif entry["event_type"] == "TASK_RESULT":
            add(_part(entry["details"]), moment, 1)
    add(END, began + wall)
    return found


def _part(details: Mapping) -> str:
    module = details["module"]
    works = module == _FACTS or (module.startswith(_OURS) and module != _PLANNING)
    if details["status"] == "skipped" or not works:
        return PLAN
    where = "controller" if module in _CONTROLLER_ONLY else "remote"
    return f"{details['task']} ({module.removeprefix(_OURS)}, {where})"


def median_parts(runs: Sequence[Mapping[str, tuple[float, int]]]) -> list[tuple[str, float, int]]:
    """Return ``(part, median seconds, tasks)`` over several runs in the order of the first, which has all parts."""
    return [(part, median(run[part][0] for run in runs), runs[0][part][1]) for part in runs[0]]
