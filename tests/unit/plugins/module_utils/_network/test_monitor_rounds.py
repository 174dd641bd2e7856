# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rounds: what is kept together, what is told, and what a kill -9 can't break."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from monitor_lab import settings, waiting

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    ConflictError,
    PermissionDenied,
    ValidationError,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._network.monitor.rounds import keep_round
from ansible_collections.scripts.toolkit.plugins.module_utils._network.monitor.settings import parse_settings
from ansible_collections.scripts.toolkit.plugins.module_utils._network.monitor.store import Store

MAIL, CHAT = {"name": "mail", "command": ["/bin/cat"]}, {"name": "chat", "webhook": "https://chat.example.com/x"}
NOON = 1764590400.0
"""2025-12-01T12:00:00Z"""


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(str(tmp_path / "state"))


def test_it_tells_every_hook_at_the_third_failure_and_the_second_success(store, made) -> None:
    wanted, seen = settings(MAIL, CHAT), []
    for now, failed in enumerate([True, True, True, True, False, True, False, False, False]):
        result = made.probed(made.outcome("web", failed=failed), made.outcome("db"))
        seen.append([event["type"] for event in keep_round(store, wanted, result, NOON + now)["events"]])
    assert seen == [[], [], ["alert"], [], [], [], [], ["recovery"], []]
    assert waiting(store, "mail") == waiting(store, "chat") == [("alert", "web"), ("recovery", "web")]


def test_an_event_says_what_where_since_when_and_why(store, made) -> None:
    for now in range(3):
        summary = keep_round(store, settings(MAIL), made.probed(made.outcome("web", failed=True)), NOON + now)
    (event,) = summary["events"]
    assert len(event.pop("id")) == 32
    assert event == {
        "version": 1,
        "type": "alert",
        "at": "2025-12-01T12:00:02.000Z",
        "since": "2025-12-01T12:00:02.000Z",
        "target": "web",
        "address": "web.example.com",
        "target_type": "host",
        "score": 40,
        "grade": "CRITICAL",
        "fault": made.outcome("web", failed=True)["fault"],
        "thresholds": {"failures": 3, "window": 3, "successes": 2},
        "vantage": "here",
        "message": "web, seen from here: tcp is at fault: connection refused",
    }


def test_a_score_below_the_minimum_is_a_failure_without_a_fault(store, made) -> None:
    wanted = settings(MAIL, failures=1, minimum_score=75)
    assert not keep_round(store, wanted, made.probed(made.outcome("web", score=75)), NOON)["events"]
    (event,) = keep_round(store, wanted, made.probed(made.outcome("web", score=74)), NOON)["events"]
    assert event["message"] == "web, seen from here: score 74, below what is wanted."


def test_silence_holds_back_what_still_holds_at_its_end_and_swallows_the_rest(store, made) -> None:
    night = settings(MAIL, failures=1, successes=1, silences=[{"from": "12:00", "to": "13:00"}])
    told = []

    def round_(minute: int, web: bool, db: bool) -> None:
        result = made.probed(made.outcome("web", failed=web), made.outcome("db", failed=db))
        summary = keep_round(store, night, result, NOON + 60 * minute)
        told.append([(event["type"], event["target"]) for event in summary["events"]])

    round_(-1, False, False)
    round_(1, True, True)
    round_(2, True, False)
    round_(60, True, False)
    round_(61, False, False)
    assert told == [[], [], [], [("alert", "web")], [("recovery", "web")]]


def test_a_target_that_is_probed_no_more_takes_its_alert_along(store, made) -> None:
    wanted = settings(MAIL, failures=1)
    keep_round(store, wanted, made.probed(made.outcome("web", failed=True), made.outcome("db")), NOON)
    summary = keep_round(store, wanted, made.probed(made.outcome("new")), NOON + 1)
    assert [(event["type"], event["target"]) for event in summary["events"]] == [("removed", "web")]
    standings, _past = store.overview(5)
    assert list(standings) == ["new"]


def test_the_outbox_of_a_hook_goes_with_the_hook(store, made) -> None:
    keep_round(store, settings(MAIL, CHAT, failures=1), made.probed(made.outcome("web", failed=True)), NOON)
    keep_round(store, settings(CHAT, failures=1), made.probed(made.outcome("web", failed=True)), NOON)
    assert waiting(store, "mail") == []
    assert waiting(store, "chat") == [("alert", "web")]


def test_the_history_is_bounded_by_age_and_number(store, made) -> None:
    wanted = settings(keep_rounds=10, keep_days=1)
    for now in range(30):
        keep_round(store, wanted, made.probed(made.outcome("web", failed=now % 2 == 0)), NOON + now)
    _standings, past = store.overview(4)
    assert (past["here", "web"].rounds, past["here", "web"].failures) == (10, 5)
    assert past["here", "web"].scores == (40, 100, 40, 100)
    keep_round(store, wanted, made.probed(made.outcome("web")), NOON + 2 * 86400)
    assert store.overview(4)[1]["here", "web"].rounds == 1


def test_a_name_that_is_no_text_is_kept_all_the_same(store, made) -> None:
    for now in range(2):
        keep_round(store, settings(MAIL, failures=2), made.probed(made.outcome("\ud800", failed=True)), NOON + now)
    assert waiting(store, "mail") == [("alert", "\\ud800")]


def test_nobody_else_makes_rounds_in_the_state_of_a_user(store) -> None:
    os.makedirs(store.directory)
    os.chown(store.directory, 12345, -1)
    with pytest.raises(PermissionDenied, match="another user"), store.alone("round"):
        pass
    assert os.listdir(store.directory) == []


def test_two_rounds_at_once_are_refused(store) -> None:
    with store.alone("round"), pytest.raises(ConflictError, match="round is under way"), store.alone("round"):
        pass


ROUNDS = 200
WORKER = """
import sys
sys.path.insert(0, {lab!r})
from conftest import outcome, probed
from ansible_collections.scripts.toolkit.plugins.module_utils._network.monitor.rounds import keep_round
from ansible_collections.scripts.toolkit.plugins.module_utils._network.monitor.settings import parse_settings
from ansible_collections.scripts.toolkit.plugins.module_utils._network.monitor.store import Store
store = Store({state!r})
hook = {{"name": "h", "command": ["/bin/cat"]}}
wanted = parse_settings({{"probe": {{}}, "failures": 3, "successes": 2, "hooks": [hook]}})
print("ready", flush=True)
while True:
    with store.round() as database:
        done = database.execute("SELECT count(*) FROM rounds").fetchone()[0]
    if done >= {rounds}:
        break
    keep_round(store, wanted, probed(outcome("web", failed=done % 10 < 5)), float(done))
"""


def test_kill_9_at_any_moment_neither_loses_nor_repeats_a_round_or_an_event(tmp_path) -> None:
    """Of ten rounds five fail: each ten bring exactly one alert and one recovery, however often the program dies."""
    lab, state = Path(__file__).resolve().parents[2], str(tmp_path / "state")
    argv = [sys.executable, "-c", WORKER.format(lab=str(lab), state=state, rounds=ROUNDS)]
    chance, kills = random.Random(7), 0
    while True:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        process.stdout.readline()
        try:
            process.wait(timeout=chance.random() / 4)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            kills += 1
        else:
            process.communicate()
            assert process.returncode == 0
            break
    store = Store(state)
    assert kills
    assert store.overview(1)[1]["here", "web"].rounds == ROUNDS
    assert waiting(store, "h") == [("alert", "web"), ("recovery", "web")] * (ROUNDS // 10)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "no mapping"),
        ({}, "probe is no mapping"),
        ({"failure": 3}, "failure is no option"),
        ({"failures": 0}, "failures=0"),
        ({"failures": True}, "failures=True"),
        ({"failures": 3, "window": 2}, "window=2"),
        ({"minimum_score": 101}, "minimum_score=101"),
        ({"hooks": [{"name": "a b", "command": ["/bin/cat"]}]}, "hooks[0].name"),
        ({"hooks": [{"name": "a"}]}, "either a command or a webhook"),
        ({"hooks": [{"name": "a", "command": ["cat"]}]}, "no absolute path"),
        ({"hooks": [{"name": "a", "command": "/bin/cat"}]}, "no list of words"),
        ({"hooks": [{"name": "a", "webhook": "ftp://x"}]}, "hooks[0].webhook is no URL"),
        ({"hooks": [{"name": "a", "webhook": "https://x/\r\nHost: y"}]}, "hooks[0].webhook is no URL"),
        ({"hooks": [{"name": "a", "webhook": "https://user:pw@x/"}]}, "hooks[0].webhook is no URL"),
        ({"hooks": [{"name": "a", "webhook": "https://x", "headers": {"A": "b\nc"}}]}, "hooks[0].headers"),
        ({"hooks": [{"name": "a", "webhook": "https://x", "timeout": 0}]}, "hooks[0].timeout"),
        ({"hooks": [{"name": "a", "webhook": "https://x"}] * 2}, "two are called a"),
        ({"silences": [{"from": "x"}]}, "silences[0].from"),
    ],
)
def test_wrong_settings_are_refused_by_name_and_secrets_are_not_repeated(given, told) -> None:
    full = {"probe": {}, **given} if isinstance(given, dict) and given else given
    with pytest.raises(ValidationError) as refused:
        parse_settings(full)
    assert told in refused.value.message
    assert "pw@" not in refused.value.as_result()["msg"]
