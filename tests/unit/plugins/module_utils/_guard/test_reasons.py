# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from email.utils import formatdate

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ERROR_KINDS, ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.reasons import (
    RetryOn,
    explain,
    kind_of,
    retry_after,
)


def never(_condition: str) -> bool:
    raise AssertionError("no condition was given")


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        ({"error": {"kind": "conflict"}, "msg": "timed out"}, "conflict"),
        ({"error": {"kind": "no such kind"}, "msg": "timed out"}, "timeout"),
        ({"error": "a text", "msg": "no"}, None),
        ({"unreachable": True, "msg": "Permission denied"}, "unavailable"),
        ({"status": 503, "msg": "Status code was 503"}, "unavailable"),
        ({"status": 504}, "timeout"),
        ({"status": 404}, "not_found"),
        ({"status": -1, "msg": "Request failed"}, "unavailable"),
        ({"status": True}, None),
        ({"msg": "non-zero return code", "stderr": "curl: (7) Failed to connect to x port 80"}, "unavailable"),
        ({"msg": "ssh: connect to host x port 22: Connection timed out"}, "timeout"),
        ({"msg": "E: Could not get lock /var/lib/dpkg/lock-frontend"}, "unavailable"),
        ({"msg": "no such option"}, None),
        ({"msg": ["a", "list"]}, None),
    ],
)
def test_kinds_are_told_by_what_results_say(result: dict, kind: str | None) -> None:
    assert kind_of(result) == kind
    assert kind is None or kind in ERROR_KINDS


def test_reasons_are_what_says_most_and_short() -> None:
    assert explain({"msg": "non-zero return code", "stderr": " disk is full\n"}) == "disk is full"
    assert explain({"msg": "non-zero return code", "stderr": ""}) == "non-zero return code"
    assert explain({"msg": "no"}) == "no"
    assert explain({}) == "it failed without a message"
    assert len(explain({"msg": "x" * 1000})) == 500


@pytest.mark.parametrize(
    ("result", "again"),
    [
        ({"failed": True, "msg": "what?"}, True),
        ({"failed": True, "error": {"kind": "timeout"}}, True),
        ({"failed": True, "error": {"kind": "validation"}}, False),
        ({"failed": True, "status": 403}, False),
        ({"unreachable": True}, True),
        ({"failed": False, "rc": 0}, False),
        ({"status": 503}, False),
    ],
)
def test_by_default_failures_that_time_may_mend_are_tried_again(result: dict, again: bool) -> None:
    assert RetryOn.from_options(None).applies(result, never) is again


def test_any_condition_is_enough_and_only_the_given_ones_count() -> None:
    rule = RetryOn.from_options({"kinds": ["conflict"], "rc": [7], "match": "try (again|later)", "when": None})
    assert rule.applies({"failed": True, "error": {"kind": "conflict"}}, never)
    assert rule.applies({"failed": True, "rc": 7}, never)
    assert rule.applies({"failed": False, "rc": 7}, never)
    assert rule.applies({"failed": True, "stderr": "please try later"}, never)
    assert not rule.applies({"failed": False, "stdout": "please try later"}, never)
    assert not rule.applies({"failed": True, "error": {"kind": "timeout"}, "rc": 1}, never)


def test_all_conditions_of_when_must_hold_for_any_result() -> None:
    rule = RetryOn.from_options({"when": ["one", "two"]})
    assert rule.applies({"failed": False}, lambda condition: True)
    assert not rule.applies({"failed": True}, lambda condition: condition == "one")


@pytest.mark.parametrize(("options", "message"), [({"match": "("}, r"retry\.on\.match"), ({"when": [" "]}, "empty")])
def test_conditions_that_are_none_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RetryOn.from_options(options)


@pytest.mark.parametrize(
    ("result", "seconds"),
    [
        ({}, None),
        ({"retry_after": "120"}, 120.0),
        ({"retry_after": 2.5}, 2.5),
        ({"retry_after": "-5"}, 0.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": True}, None),
        ({"retry_after": formatdate(1_700_000_030, usegmt=True)}, 30.0),
        ({"retry_after": formatdate(1_600_000_000, usegmt=True)}, 0.0),
        ({"error": {"retry_after": 9}}, 9.0),
    ],
)
def test_a_server_may_ask_for_a_wait(result: dict, seconds: float | None) -> None:
    assert retry_after(result, 1_700_000_000) == seconds
