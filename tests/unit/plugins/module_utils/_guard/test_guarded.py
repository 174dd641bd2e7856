# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loop, with attempts that are functions, a clock that only waits move, and real circuits."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.metrics.figures import GUARD_DECISIONS
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.backoff import Backoff
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit import Circuit, CircuitOpen, open_store
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit_options import policy_of
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.decisions import Decisions
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.guarded import Guards, Loop
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.reasons import RetryOn

FAILED = {"failed": True, "msg": "connection refused"}
WRONG = {"failed": True, "msg": "no", "error": {"kind": "validation"}}
OK = {"changed": True}


class Trial:
    """A loop over given results, each of which takes ``takes`` seconds."""

    def __init__(self, guards: Guards, *results: dict, takes: float = 1.0, circuit: Circuit | None = None) -> None:
        self.now = 0.0
        self.limits: list[float | None] = []
        self.waits: list[float] = []
        self.decisions = Decisions("test.module")
        self._results, self._takes = iter(results), takes
        self.loop = Loop(
            guards, self._attempt, self._holds, self.decisions, circuit, sleep=self._sleep, clock=lambda: self.now
        )

    def _attempt(self, limit: float | None) -> dict:
        self.limits.append(limit)
        self.now += self._takes
        return dict(next(self._results))

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    @staticmethod
    def _holds(condition: str, result: dict) -> bool:
        return result.get(condition) is True

    def told(self) -> list[str]:
        found = [event["details"]["decision"] for event in self.decisions.events]
        assert set(found) <= set(GUARD_DECISIONS)
        return found


def guards(attempts: int = 5, **more) -> Guards:
    return Guards(Backoff(attempts, 1.0, 2.0, 60.0, "none"), **more)


def test_a_success_is_the_end() -> None:
    trial = Trial(guards(), OK)
    assert trial.loop.run() == OK
    assert trial.waits == []
    assert [(entry["number"], entry["outcome"]) for entry in trial.loop.attempts] == [(1, "ok")]
    assert trial.told() == ["attempt"]


def test_failures_are_tried_again_with_growing_waits() -> None:
    trial = Trial(guards(), FAILED, {"unreachable": True, "msg": "gone"}, OK)
    assert trial.loop.run() == OK
    assert trial.waits == [1, 2]
    assert [entry["outcome"] for entry in trial.loop.attempts] == ["failed", "unreachable", "ok"]
    assert [entry.get("wait_seconds") for entry in trial.loop.attempts] == [1, 2, None]
    assert trial.loop.attempts[0]["reason"] == "connection refused"
    assert trial.told() == ["attempt", "wait", "attempt", "wait", "attempt"]


def test_the_last_failure_is_the_result() -> None:
    trial = Trial(guards(2), FAILED, {"failed": True, "msg": "the last"})
    assert trial.loop.run()["msg"] == "the last"
    assert len(trial.limits) == 2


def test_what_time_does_not_mend_is_not_tried_again() -> None:
    trial = Trial(guards(), WRONG)
    assert trial.loop.run() == WRONG
    assert len(trial.limits) == 1


def test_a_result_that_still_meets_the_condition_is_a_failure() -> None:
    rule = RetryOn.from_options({"when": ["pending"]})
    trial = Trial(guards(2, retry_on=rule), {"pending": True}, {"pending": True})
    result = trial.loop.run()
    assert result["failed"]
    assert "After 2 attempts" in result["msg"]
    assert Trial(guards(2, retry_on=rule), {"pending": True}, {"pending": False}).loop.run() == {"pending": False}


def test_each_attempt_gets_what_is_left_of_the_deadline_and_at_most_the_timeout() -> None:
    trial = Trial(guards(timeout=5.0, deadline=12.0), FAILED, FAILED, FAILED, OK, takes=2.0)
    result = trial.loop.run()
    # 2 + 1 + 2 + 2 + 2 = 9 seconds; a wait of 4 more would not leave any of 12.
    assert trial.limits == [5.0, 5.0, 5.0]
    assert (result["failed"], result["error"]["kind"]) == (True, "timeout")
    assert "connection refused" in result["msg"]
    assert trial.told()[-1] == "deadline"
    trial = Trial(guards(timeout=5.0, deadline=6.0), FAILED, OK, takes=2.0)
    trial.loop.run()
    assert trial.limits == [5.0, 3.0]
    assert Trial(guards(), OK).loop.run() == OK


@pytest.mark.parametrize(("limits", "option"), [({"timeout": 3.0}, "timeout"), ({"deadline": 3.0}, "deadline")])
@pytest.mark.parametrize(("ended", "hint"), [("scope", "All processes"), ("group", "group"), ("connection", "itself")])
def test_what_took_too_long_says_which_limit_and_what_became_of_it(
    limits: dict, option: str, ended: str, hint: str
) -> None:
    trial = Trial(guards(1, **limits), {"failed": True, "timed_out": ended, "stdout": "half"})
    result = trial.loop.run()
    assert result["error"]["kind"] == "timeout"
    assert f"its {option} of 3 seconds" in result["msg"]
    assert hint in result["error"]["hint"]
    assert (result["stdout"], result["changed"]) == ("half", False)
    (told,) = trial.loop.attempts
    assert (told["outcome"], told["ended"], told["kind"]) == ("timeout", ended, "timeout")


def test_an_unreachable_host_stays_that_at_the_deadline() -> None:
    result = Trial(guards(deadline=1.5), {"unreachable": True, "msg": "gone"}).loop.run()
    assert result["unreachable"]
    assert "failed" not in result
    assert result["error"]["kind"] == "timeout"


def test_a_server_may_ask_for_a_longer_wait_within_bounds() -> None:
    asks = {**FAILED, "retry_after": "7"}
    trial = Trial(guards(), asks, OK)
    assert trial.loop.run() == OK
    assert trial.waits == [7]
    assert trial.decisions.events[1]["details"]["reason"] == "retry_after"
    trial = Trial(guards(), {**FAILED, "retry_after": "0"}, OK)
    trial.loop.run()
    assert trial.waits == [1]
    trial = Trial(guards(max_retry_after=6.0), asks, OK)
    result = trial.loop.run()
    assert (result["failed"], result["error"]["kind"]) == (True, "timeout")
    assert "retry.max_retry_after (6)" in result["msg"]
    assert trial.waits == []


@pytest.fixture
def circuit(tmp_path: Path) -> Circuit:
    policy = policy_of({"name": "api", "threshold": 2, "open_for": 60.0})
    return Circuit(open_store(None, str(tmp_path)), "api", policy)


def test_a_circuit_opens_in_the_middle_and_refuses_the_next_attempt(circuit: Circuit) -> None:
    trial = Trial(guards(), FAILED, FAILED, OK, circuit=circuit)
    with pytest.raises(CircuitOpen, match="api"):
        trial.loop.run()
    assert [entry["outcome"] for entry in trial.loop.attempts] == ["failed", "failed", "refused"]
    assert trial.told() == ["attempt", "wait", "trip", "attempt", "wait", "refused"]
    trial = Trial(guards(), OK, circuit=circuit)
    with pytest.raises(CircuitOpen):
        trial.loop.run()
    assert trial.limits == []


def test_check_mode_is_refused_as_well_and_leaves_everything_as_it_was(tmp_path: Path) -> None:
    now = 1000.0
    policy = policy_of({"name": "api", "threshold": 1, "open_for": 10.0})
    circuit = Circuit(open_store(None, str(tmp_path)), "api", policy, lambda: now)
    circuit.look()
    Trial(guards(1), FAILED, circuit=circuit).loop.run()
    with pytest.raises(CircuitOpen):
        circuit.look()
    now += 11
    before = circuit.peek()
    circuit.look()
    assert circuit.peek() == before
    assert (before["state"], before["permits"]) == ("open", 1)


def test_failures_that_say_nothing_of_health_do_not_count(circuit: Circuit) -> None:
    for _time in range(3):
        Trial(guards(1), WRONG, circuit=circuit).loop.run()
    assert circuit.peek()["state"] == "closed"


def test_an_attempt_that_is_broken_off_gives_its_probe_back(tmp_path: Path) -> None:
    now = 1000.0
    policy = policy_of({"name": "api", "threshold": 1, "open_for": 10.0})
    circuit = Circuit(open_store(None, str(tmp_path)), "api", policy, lambda: now)
    Trial(guards(1), FAILED, circuit=circuit).loop.run()
    now += 11

    def broken(_limit: float | None) -> dict:
        raise KeyboardInterrupt

    loop = Loop(guards(1), broken, lambda *_: False, Decisions("test.module"), circuit)
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert circuit.peek()["permits"] == 1
    trial = Trial(guards(1), OK, circuit=circuit)
    assert trial.loop.run() == OK
    assert trial.told() == ["probe", "trip", "attempt"]
    assert circuit.peek()["state"] == "closed"
