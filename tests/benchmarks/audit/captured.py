# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Capture what ansible-core tells its callbacks in a real run, to play it to one callback again and again.

The run takes place in this process, through the command line's own class, with an additional callback that keeps the
calls. ansible-core 2.19 and newer build a result for each callback when it first looks; a copy made before anybody
looked is such a fresh result, so each replay pays for that as it would in a run.
"""

from __future__ import annotations

import copy
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["METHODS", "Call", "capture", "fresh", "in_turn", "told"]

METHODS = (
    *("v2_playbook_on_start", "v2_playbook_on_play_start", "v2_playbook_on_task_start", "v2_runner_on_start"),
    *("v2_runner_on_ok", "v2_runner_on_failed", "v2_runner_on_skipped", "v2_runner_item_on_ok"),
    "v2_playbook_on_stats",
)

_KEEPER = '''
DOCUMENTATION = """
name: keeper
type: notification
short_description: Keeps the calls
description: Keeps the calls.
"""
from ansible.plugins.callback import CallbackBase

import captured

class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "keeper"

def _keep(name):
    def method(self, *args, **kwargs):
        captured.told(name, args, kwargs)
    return method

for _name in captured.METHODS:
    setattr(CallbackModule, _name, _keep(_name))
'''
_ACTION = '''
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    """Return what is told to, at the cost of an action without a connection."""
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        return {**super().run(tmp, task_vars), **self._task.args["result"]}
'''
# What common modules return: a program's output, a package, a file, a service, facts; and ansible-core's own actions.
_TASKS = """
- hosts: all
  gather_facts: false
  tasks:
"""
_RESULTS = (
    {
        "changed": True,
        "rc": 0,
        "cmd": ["/usr/bin/uptime"],
        "stderr": "",
        "msg": "",
        "delta": "0:00:00.100000",
        "stdout": " 03:26:08 up  3:41,  0 user,  load average: 1.73, 1.32, 1.29",
        "start": "2026-11-21 03:26:08.100000",
        "end": "2026-11-21 03:26:08.200000",
    },
    {
        "changed": False,
        "msg": "All packages are installed.",
        "cache_updated": False,
        "cache_update_time": 1795231568,
    },
    {
        "changed": True,
        "dest": "/etc/app/app.conf",
        "checksum": "a1" * 20,
        "md5sum": "b2" * 16,
        "mode": "0644",
        "owner": "root",
        "group": "root",
        "uid": 0,
        "gid": 0,
        "size": 420,
        "state": "file",
        "src": "/root/source",
    },
    {
        "changed": False,
        "name": "nginx",
        "state": "started",
        "enabled": True,
        "status": {"ActiveState": "active", "SubState": "running", "LoadState": "loaded", "MainPID": "411"},
    },
    {
        "changed": False,
        "path": "/srv/www",
        "mode": "0755",
        "owner": "www-data",
        "group": "www-data",
        "uid": 33,
        "gid": 33,
        "size": 4096,
        "state": "directory",
        "diff": {"before": {"path": "/srv/www"}},
    },
)


@dataclass(frozen=True)
class Call:
    """One call of a callback's method."""

    name: str
    args: tuple
    kwargs: dict

    @property
    def is_result(self) -> bool:
        """Whether it tells a task result."""
        return self.name.startswith(("v2_runner_on_", "v2_runner_item_on_")) and self.name != "v2_runner_on_start"


@dataclass
class _Taker:
    """Who takes the calls while the run goes on, made at the first call; and the nanoseconds of each kind of call."""

    make: Callable
    made: object = None
    results: int = 0
    start: int = 0
    end: int = 0


_takers: dict[str, _Taker] = {}
_calls: list[Call] = []
_numbers: Counter[str] = Counter()


def in_turn(takers: list, number: int) -> list:
    """Return ``takers`` in the order of the call with this number: each is as often at each place, and as often right
    before a neighbour as right after it."""
    first = number // 2 % len(takers) if takers else 0
    order = takers[first:] + takers[:first]
    return order if number % 2 == 0 else order[::-1]


def told(name: str, args: tuple, kwargs: dict) -> None:
    """Keep a call of ansible-core and pass it to the takers, each in turn the first, since the first one finds what it
    needs further away from the processor."""
    call = Call(name, args, kwargs)
    _calls.append(call)
    number = _numbers[name]
    _numbers[name] += 1
    for taker in in_turn(list(_takers.values()), number):
        if taker.made is None:
            taker.made = taker.make()
        own = next(fresh([call]))
        began = time.thread_time_ns()
        taker.made.take(own)
        spent = time.thread_time_ns() - began
        if name == "v2_playbook_on_start":
            taker.start += spent
        elif name == "v2_playbook_on_stats":
            taker.end += spent
        else:
            taker.results += spent


def capture(
    directory: Path, hosts: int, tasks: int, takers: dict[str, Callable] | None = None
) -> tuple[list[Call], dict[str, dict[str, int]]]:
    """Run ``tasks`` tasks on ``hosts`` hosts in this process, once.

    :param directory: an empty directory; the process works in it from now on.
    :param takers: functions that make what takes the calls (``take``) while the run goes on.
    :return: the calls, and for each taker the nanoseconds of processor time of its calls' threads: ``start`` and
        ``end`` of the run, and ``results`` for all between.
    """
    _calls.clear()
    _numbers.clear()
    _takers.clear()
    _takers.update((name, _Taker(make)) for name, make in (takers or {}).items())
    (directory / "callback").mkdir()
    (directory / "action").mkdir()
    (directory / "callback" / "keeper.py").write_text(_KEEPER, encoding="utf-8")
    (directory / "action" / "told.py").write_text(_ACTION, encoding="utf-8")
    lines = [_TASKS]
    for number in range(tasks):
        lines.append(f"    - name: Task {number} of the benchmark\n")
        kinds = len(_RESULTS) + 2
        if number % kinds < len(_RESULTS):
            lines.append(f"      told: {{result: {json.dumps(_RESULTS[number % kinds])}}}\n")
        elif number % kinds == len(_RESULTS):
            lines.append(f"      ansible.builtin.set_fact: {{fact_{number}: {number}}}\n")
        else:
            lines.append("      ansible.builtin.debug: {msg: 'On {{ inventory_hostname }}'}\n")
    (directory / "site.yml").write_text("".join(lines), encoding="utf-8")
    names = "".join(f"web{number:03}.example.com ansible_connection=local\n" for number in range(hosts))
    (directory / "hosts.ini").write_text(names, encoding="utf-8")
    (directory / "ansible.cfg").touch()
    os.chdir(directory)
    os.environ.update(
        ANSIBLE_CALLBACK_PLUGINS=str(directory / "callback"),
        ANSIBLE_ACTION_PLUGINS=str(directory / "action"),
        ANSIBLE_CALLBACKS_ENABLED="keeper",
        ANSIBLE_CONFIG=str(directory / "ansible.cfg"),
        ANSIBLE_LOCALHOST_WARNING="0",
        LC_ALL="C.UTF-8",
    )
    from ansible.cli.playbook import PlaybookCLI

    screen, sys.stdout = sys.stdout, open(os.devnull, "w", encoding="utf-8")
    try:
        status = PlaybookCLI(["ansible-playbook", "-i", "hosts.ini", "-f", "2", "site.yml"]).run()
    finally:
        sys.stdout = screen
    if status:
        raise SystemExit(f"The run to be captured failed with exit status {status}.")
    spent = {name: {"start": t.start, "results": t.results, "end": t.end} for name, t in _takers.items()}
    return list(_calls), spent


def fresh(calls: list[Call]) -> Iterator[Call]:
    """Yield the calls with results that nobody has looked at."""
    for call in calls:
        yield Call(call.name, tuple(copy.copy(arg) for arg in call.args), call.kwargs) if call.is_result else call
