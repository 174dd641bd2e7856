# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of commit-confirm: the new connection is new, and every end is told as it is."""

from __future__ import annotations

import itertools
import subprocess
from types import SimpleNamespace

import pytest
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader

from ansible_collections.scripts.toolkit.plugins.plugin_utils import _confirm
from ansible_collections.scripts.toolkit.plugins.plugin_utils._confirm import (
    ConfirmedAction,
    _Unanswered,
    can_prove,
    fresh_connection,
)

PENDING = {"changed": True, "pending": {"seconds": 30.0}, "proof": "connection", "diff": []}
CONFIRMED = {"changed": True}
GONE = {"failed": True, "msg": "gone", "error": {"kind": "conflict", "message": "It was no longer waiting."}}


def outcome(state: str, reverted: bool = False) -> dict:
    return {"outcome": {"state": state, "reverted": reverted}}


class Clock:
    """Time that passes only by sleeping and by attempts."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


class Action(ConfirmedAction):
    """The action on a host whose answers are played."""

    def __init__(self, clock: Clock, first: dict, answers) -> None:
        self.clock, self.first, self.answers = clock, first, iter(answers)
        self.stages: list[tuple[str, float]] = []
        self.timeouts: list[float] = []
        self.ports: list[int | None] = []
        self._task = SimpleNamespace(args={}, action="scripts.toolkit.thing")
        self._display = SimpleNamespace(v=lambda *_args: None, vvv=lambda *_args: None)
        self._connection = SimpleNamespace(transport="ssh", get_option=lambda _name: None)

    def _call(self, stage: str, token: str, task_vars: dict) -> dict:
        assert stage == "apply"
        assert len(token) == 32
        return dict(self.first)

    def _call_anew(self, stage: str, token: str, task_vars: dict, port: int | None, timeout: float) -> dict:
        self.stages.append((stage, self.clock.now - 1000.0))
        self.timeouts.append(timeout)
        self.ports.append(port)
        self.clock.now += 2.0
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_confirm, "time", clock)
    return clock


def run(action: Action) -> dict:
    try:
        return action._run({})
    except _confirm.ToolkitError as error:
        return error.as_result()


def test_an_unchanged_run_is_one_call(clock: Clock) -> None:
    action = Action(clock, {"changed": False}, [])
    assert run(action) == {"changed": False}
    assert action.stages == []


def test_a_changed_run_is_two_calls(clock: Clock) -> None:
    action = Action(clock, PENDING, [CONFIRMED])
    assert run(action) == {"changed": True, "proof": "connection", "diff": []}
    assert action.stages == [("confirm", 0.0)]


def test_a_lost_packet_costs_one_attempt_of_several(clock: Clock) -> None:
    action = Action(clock, PENDING, [_Unanswered("timed out"), _Unanswered("timed out"), CONFIRMED])
    assert run(action)["changed"]
    assert [stage for stage, _when in action.stages] == ["confirm"] * 3
    assert action.timeouts[0] == 10.0


def test_no_answer_until_the_end_waits_for_the_rollback_and_verifies_it(clock: Clock) -> None:
    lost = _Unanswered("first\nssh: connect to host x port 22: Connection timed out")
    answers = itertools.chain(itertools.repeat(lost, 5), [outcome("rolled-back", True)])
    action = Action(clock, PENDING, answers)
    result = run(action)
    assert (result["failed"], result["changed"], result["rolled_back"]) == (True, False, True)
    assert result["error"]["kind"] == "unavailable"
    assert "within 30 seconds" in result["msg"]
    assert "Connection timed out" in result["msg"]
    assert "first" not in result["msg"]
    stages = [stage for stage, _when in action.stages]
    assert stages == ["confirm"] * 5 + ["outcome"]
    assert action.stages[-1][1] >= 30.0, "the host is asked only after its time is over"


def test_a_refused_login_is_not_repeated_for_long(clock: Clock) -> None:
    refused = _Unanswered("Permission denied (publickey).", auth=True)
    action = Action(clock, PENDING, [refused, refused, outcome("rolled-back", True)])
    assert run(action)["rolled_back"]
    assert [stage for stage, _when in action.stages] == ["confirm", "confirm", "outcome"]
    assert action.stages[-1][1] >= 30.0


def test_a_confirm_that_came_too_late_is_a_conflict(clock: Clock) -> None:
    result = run(Action(clock, PENDING, [GONE, outcome("rolled-back", True)]))
    assert result["error"]["kind"] == "conflict"
    assert result["rolled_back"]


def test_a_host_that_could_not_write_says_why_and_is_rolled_back(clock: Clock) -> None:
    full = {"failed": True, "msg": "full", "error": {"kind": "unavailable", "message": "/etc: No space left."}}
    result = run(Action(clock, PENDING, [full, outcome("rolled-back", True)]))
    assert result["error"]["kind"] == "unavailable"
    assert "No space left" in result["msg"]
    assert result["rolled_back"]


def test_what_fails_after_the_change_is_in_etc_is_told_with_the_change(clock: Clock) -> None:
    late = {"failed": True, "msg": "x", "error": {"kind": "unavailable", "message": "systemctl failed"}}
    result = run(Action(clock, PENDING, [late, outcome("confirmed")]))
    assert (result["failed"], result["changed"], result["rolled_back"]) == (True, True, False)
    assert "systemctl failed" in result["msg"]


def test_an_answer_that_got_lost_after_the_host_had_confirmed_is_success(clock: Clock) -> None:
    lost = itertools.repeat(_Unanswered("Connection reset"), 5)
    result = run(Action(clock, PENDING, itertools.chain(lost, [outcome("confirmed")])))
    assert result["changed"]
    assert not result.get("failed")


def test_a_host_that_is_still_rolling_back_is_asked_again(clock: Clock) -> None:
    answers = [GONE, outcome("pending"), outcome("confirming"), outcome("rolled-back", True)]
    assert run(Action(clock, PENDING, answers))["rolled_back"]


@pytest.mark.parametrize("end", [outcome("rolled-back", False), outcome("unknown")])
def test_a_state_that_is_not_the_previous_one_is_never_called_rolled_back_well(clock: Clock, end: dict) -> None:
    result = run(Action(clock, PENDING, [GONE, end]))
    assert result["error"]["kind"] == "integrity"
    assert not result["changed"]


def test_a_host_that_stays_away_is_said_to_be_away(clock: Clock) -> None:
    result = run(Action(clock, PENDING, itertools.repeat(_Unanswered("No route to host"))))
    assert result["error"]["kind"] == "unavailable"
    assert "can't be reached since" in result["msg"]
    assert result["rolled_back"] is False


def test_hidden_options_are_not_for_users(clock: Clock) -> None:
    action = Action(clock, PENDING, [])
    action._task.args = {"_confirm": {"stage": "confirm"}}
    assert run(action)["error"]["kind"] == "validation"


@pytest.mark.parametrize(
    ("given", "pending", "expected"),
    [
        (None, {}, None),
        (None, {"ports": [22], "previous_ports": [22]}, None),
        (None, {"ports": [22, 2222], "previous_ports": [22]}, None),
        (None, {"ports": [2222], "previous_ports": [22]}, 2222),
        (10022, {"ports": [2222], "previous_ports": [22]}, 10022),
    ],
)
def test_the_port_of_the_new_connection(clock: Clock, given: int | None, pending: dict, expected: int | None) -> None:
    first = {**PENDING, "pending": {"seconds": 30.0, **pending}}
    action = Action(clock, first, [CONFIRMED])
    action._task.args = {} if given is None else {"confirm_port": given}
    run(action)
    assert action.ports == [expected]


def ssh_connection(**options):
    connection = connection_loader.get("ssh", PlayContext(), new_stdin=None)
    connection.set_options(var_options={}, direct=options)
    return connection


def command_line(connection) -> str:
    connection.host = "192.0.2.1"
    return " ".join(part.decode() for part in connection._build_command("ssh", "ssh", "192.0.2.1", "true"))


def fresh(old, port: int | None = None):
    def load(_name: str, *args, **kwargs):
        # Without Ansible's command line, the loader does not know ansible.builtin.ssh by its long name.
        return connection_loader.get("ssh", *args, **kwargs)

    action = SimpleNamespace(
        _connection=old,
        _shared_loader_obj=SimpleNamespace(connection_loader=SimpleNamespace(get=load)),
        _play_context=PlayContext(),
        _task=SimpleNamespace(_uuid="0"),
    )
    return fresh_connection(action, port, 7.5)


def test_the_new_connection_shares_no_control_socket() -> None:
    options = {
        "host": "192.0.2.1",
        "ssh_args": "-C -o ControlMaster=auto -o ControlPersist=60s -o ControlPath=/tmp/mux",
    }
    old = ssh_connection(**options, ssh_common_args="-o ControlPath=/tmp/other -o ProxyJump=gate", remote_user="ann")
    line = command_line(fresh(old))
    assert line.index("ControlPath=none") < line.index("ControlPath=/tmp/mux")
    assert line.index("ControlMaster=no") < line.index("ControlMaster=auto")
    assert "ProxyJump=gate" in line
    assert 'User="ann"' in line
    assert "ConnectTimeout=7" in line
    assert "ControlPath=none" not in command_line(old)


def test_what_comes_first_wins_with_the_ssh_client_of_this_machine() -> None:
    old = ssh_connection(host="192.0.2.1", ssh_args="-o ControlMaster=auto -o ControlPersist=60s", port=22)
    connection = fresh(old, 2222)
    connection.host = "192.0.2.1"
    argv = [part.decode() for part in connection._build_command("ssh", "ssh", "192.0.2.1")]
    done = subprocess.run([argv[0], "-G", *argv[1:]], capture_output=True, text=True, check=True)
    effective = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert effective["controlmaster"] == "false"
    assert effective.get("controlpath", "none") == "none"
    assert effective["port"] == "2222"


def test_only_ssh_proves_anything() -> None:
    assert can_prove(ssh_connection(host="192.0.2.1"))
    assert not can_prove(connection_loader.get("local", PlayContext(), new_stdin=None))
    assert not can_prove(SimpleNamespace())
