# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notifications: programs and webhooks that fail, hang and lie; nothing is lost, and the order stays."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import pytest
from monitor_lab import receiving, settings, waiting

from ansible_collections.scripts.toolkit.plugins.module_utils._network.monitor.notify import deliver
from ansible_collections.scripts.toolkit.plugins.module_utils._network.monitor.rounds import keep_round
from ansible_collections.scripts.toolkit.plugins.module_utils._network.monitor.store import Store

SECRET = "canary-5b1c9e"


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(str(tmp_path / "state"))


@pytest.fixture
def happened(store, made):
    """Lets a target fail and recover, for the hooks of some settings."""

    def happen(wanted) -> None:
        for failed in [True, True, True, False, False]:
            keep_round(store, wanted, made.probed(made.outcome("web", failed=failed)), 0.0)

    return happen


def send(store, wanted) -> tuple[int, list[str]]:
    return asyncio.run(deliver(store, wanted.hooks))


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "hook"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_program_gets_each_event_as_json_on_its_standard_input(store, happened, tmp_path) -> None:
    hook = script(tmp_path, f'cat >>{tmp_path}/got; echo "|$TOKEN|$*" >>{tmp_path}/got')
    wanted = settings({"name": "h", "command": [hook, "one two"], "environment": {"TOKEN": SECRET}})
    happened(wanted)
    assert send(store, wanted) == (2, [])
    lines = (tmp_path / "got").read_text().splitlines()
    assert [line.partition("|")[2] for line in lines] == [f"{SECRET}|one two"] * 2
    assert [json.loads(line.partition("|")[0])["type"] for line in lines] == ["alert", "recovery"]
    assert waiting(store, "h") == []
    assert send(store, wanted) == (0, [])


def test_a_webhook_gets_a_post_with_its_headers(store, happened) -> None:
    with receiving() as receiver:
        wanted = settings({"name": "h", "webhook": f"{receiver.url}/in?key={SECRET}", "headers": {"X-Token": SECRET}})
        happened(wanted)
        assert send(store, wanted) == (2, [])
    assert receiver.events == [("alert", "web"), ("recovery", "web")]
    path, headers, _event = receiver.requests[0]
    assert path == f"/in?key={SECRET}"
    assert (headers["X-Token"], headers["Content-Type"]) == (SECRET, "application/json")


@pytest.mark.parametrize(
    ("answer", "told"),
    [(500, "status 500"), (302, "a redirect"), ("drop", "without an answer"), ("rubbish", "no HTTP")],
)
def test_a_failing_webhook_is_tried_again_in_order_with_the_same_event(store, happened, answer, told) -> None:
    with receiving(answer, answer) as receiver:
        wanted = settings({"name": "h", "webhook": f"{receiver.url}/{SECRET}", "headers": {"X-Token": SECRET}})
        happened(wanted)
        for attempts in (1, 2):
            arrived, (trouble,) = send(store, wanted)
            assert arrived == 0
            assert told in trouble
            assert SECRET not in trouble
            assert waiting(store, "h") == [("alert", "web"), ("recovery", "web")]
            assert [entry.attempts for entry in store.pending()] == [attempts, 0]
        assert send(store, wanted) == (2, [])
    assert receiver.events == [("alert", "web")] * 3 + [("recovery", "web")]
    assert len({event["id"] for _path, _headers, event in receiver.requests}) == 2


def test_hooks_do_not_wait_for_each_other(store, happened, tmp_path) -> None:
    with receiving("hang") as receiver:
        slow = {"name": "slow", "webhook": receiver.url, "timeout": 0.5}
        dead = {"name": "dead", "webhook": "http://127.0.0.1:1/"}
        bad = {"name": "bad", "command": ["/bin/false"]}
        gone = {"name": "gone", "command": ["/nowhere/notify"]}
        good = {"name": "good", "command": [script(tmp_path, f"cat >>{tmp_path}/got; echo >>{tmp_path}/got")]}
        wanted = settings(slow, dead, bad, gone, good)
        happened(wanted)
        arrived, troubles = send(store, wanted)
    assert arrived == 2
    assert len((tmp_path / "got").read_text().splitlines()) == 2
    told = dict(zip(("slow", "dead", "bad", "gone"), troubles))
    assert "took longer than 0.5 s" in told["slow"]
    assert "Connection refused" in told["dead"]
    assert "exit status 1" in told["bad"]
    assert "No such file" in told["gone"]
    for hook in ("slow", "dead", "bad", "gone"):
        assert waiting(store, hook) == [("alert", "web"), ("recovery", "web")]


def test_a_program_that_hangs_is_ended_with_all_that_it_started(store, happened, tmp_path) -> None:
    hook = script(tmp_path, f"sleep 60 & echo $! >{tmp_path}/child; wait")
    wanted = settings({"name": "h", "command": [hook], "timeout": 1})
    happened(wanted)
    arrived, (trouble,) = send(store, wanted)
    assert (arrived, "took longer than 1 s" in trouble) == (0, True)
    child = int((tmp_path / "child").read_text())
    for _try in range(100):
        if not alive(child):
            return
        time.sleep(0.05)
    pytest.fail("what the hook started still runs")


def test_a_program_that_reads_nothing_has_still_been_told(store, happened) -> None:
    wanted = settings({"name": "h", "command": ["/bin/true"]})
    happened(wanted)
    assert send(store, wanted) == (2, [])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_state_is_readable_by_its_owner_only(store, happened) -> None:
    happened(settings({"name": "h", "command": ["/bin/true"]}))
    assert os.stat(store.directory).st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in Path(store.directory).iterdir()} == {0}
