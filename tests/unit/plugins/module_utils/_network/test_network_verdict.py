# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scores and layers follow from the checks."""

from __future__ import annotations

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._network.probe import verdict


def check(layer="application", status="ok", weight=1, kind="http"):
    return {
        "rule": kind,
        "type": kind,
        "layer": layer,
        "status": status,
        "weight": weight,
        "score": verdict.SCORES[status],
        "kind": "timeout" if status == "failed" else None,
        "message": "said",
        "remediation": "the rule's",
    }


@pytest.mark.parametrize(
    ("states", "score", "word"),
    [
        ([("ok", 1)], 100, "EXCELLENT"),
        ([("ok", 2), ("degraded", 1)], 90, "EXCELLENT"),
        ([("ok", 1), ("degraded", 1)], 85, "GOOD"),
        ([("degraded", 7)], 70, "FAIR"),
        ([("ok", 2), ("failed", 1)], 66, "FAIR"),
        ([("ok", 1), ("not_reached", 1)], 50, "CRITICAL"),
        ([("failed", 100)], 0, "CRITICAL"),
    ],
)
def test_the_score_is_the_weighted_mean(states, score, word):
    checks = [check(status=status, weight=weight) for status, weight in states]
    assert verdict.score_of(checks) == score
    assert verdict.grade(score) == word


def test_the_mean_is_rounded_down():
    assert verdict.mean_score([100, 100, 99]) == 99


def test_the_lowest_layer_is_the_cause():
    checks = [check("application", "failed"), check("tcp", "failed"), check("application", "not_reached")]
    assert verdict.fault_of(checks)["layer"] == "tcp"
    assert verdict.fault_of([check(), check(status="degraded")]) is None


def test_the_remediation_of_a_rule_is_for_its_own_layer():
    assert verdict.fault_of([check("application", "failed")])["remediation"] == "the rule's"
    assert "firewall" in verdict.fault_of([check("tcp", "failed")])["remediation"]


def test_layers_above_the_fault_are_not_reached():
    layers = verdict.layers_of([check("tls", "failed")], [("tcp", "tls", "application")], {"route", "dns"})
    assert layers == {"route": "ok", "dns": "ok", "tcp": "ok", "tls": "failed", "application": "not_reached"}


def test_a_layer_that_another_check_got_through_is_known_to_hold():
    checks = [check("tcp", "failed", kind="tcp"), check("application", "ok", kind="ssh")]
    layers = verdict.layers_of(checks, [("tcp",), ("tcp", "application")], {"route"})
    assert layers == {"route": "ok", "dns": "not_probed", "tcp": "failed", "tls": "not_probed", "application": "ok"}


def test_nothing_is_claimed_of_the_route_if_the_name_has_no_address():
    checks = [check("dns", "failed", kind="icmp"), check("application", "not_reached")]
    layers = verdict.layers_of(checks, [("route",), ("tcp", "application")], set())
    assert layers == {
        "route": "not_probed",
        "dns": "failed",
        "tcp": "not_reached",
        "tls": "not_probed",
        "application": "not_reached",
    }
