# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad input of probes is reported before anything runs; patterns end, whatever they are."""

from __future__ import annotations

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import TimeoutExpired, ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._network.probe.engine import probe
from ansible_collections.scripts.toolkit.plugins.module_utils._network.targets.patterns import MOST_TEXT, Pattern
from ansible_collections.scripts.toolkit.plugins.module_utils._network.targets.rule_sets import (
    RULE_SETS,
    rules_of_sets,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._network.targets.rules import make_rules, rules_for
from ansible_collections.scripts.toolkit.plugins.module_utils._network.targets.targets import make_targets

HOST = {"name": "it", "address": "192.0.2.1"}
PING = {"type": "icmp"}
NET = {"address": "10.0.0.0/8", "type": "network"}


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"targets": []}, "validation", "targets is empty"),
        ({"targets": [{"address": "300.0.0.1"}]}, "validation", r"targets\[0\].address"),
        ({"targets": [HOST, {"address": "nowhere/8", "type": "network"}]}, "validation", r"targets\[1\].address"),
        ({"targets": [HOST, HOST]}, "validation", "another target"),
        ({"targets": [HOST | {"port": 70000}]}, "validation", r"targets\[0\].port"),
        ({"targets": [{"address": "a.example:80", "port": 81}]}, "validation", "contradicts"),
        ({"targets": [{"name": "a\nb", "address": "::1"}]}, "validation", "control"),
        ({"targets": [{"address": "10.0.0.0/8", "type": "network", "port": 1}]}, "validation", "no port"),
        ({"targets": [NET]}, "validation", "4096 are the most"),
        ({"rules": []}, "validation", "no rules"),
        ({"rules": [{"type": "telepathy"}]}, "validation", "rules.0..type.*telepathy"),
        ({"rules": [], "rule_sets": ["everything"]}, "validation", "rule_sets.*everything"),
        ({"rules": [PING, PING]}, "validation", "another rule"),
        ({"rules": [PING | {"success_pattern": "(("}]}, "validation", "rules.0..success_pattern.*regular expression"),
        ({"rules": [PING | {"error_pattern": "x" * 1001}]}, "validation", "rules.0..error_pattern.*1000"),
        ({"rules": [{"type": "http", "header_patterns": {"Server": "*"}}]}, "validation", "header_patterns.Server"),
        ({"rules": [PING | {"timeout": 0}]}, "validation", "rules.0..timeout"),
        ({"rules": [PING | {"weight": 0}]}, "validation", "rules.0..weight"),
        ({"rules": [PING | {"count": 0}]}, "validation", "rules.0..count"),
        ({"rules": [PING | {"warn_ms": 5, "fail_ms": 1}]}, "validation", "warn_ms is over fail_ms"),
        ({"rules": [PING | {"targets": ["nobody"]}]}, "validation", "names the target 'nobody'"),
        ({"rules": [PING | {"applies_to": ["service"]}]}, "validation", "No rule applies to the target 'it'"),
        ({"rules": [{"type": "tcp"}]}, "validation", "no port for the target 'it'"),
        ({"rules": [{"type": "tcp", "ports": [0]}]}, "validation", "rules.0..ports"),
        ({"rules": [{"type": "http", "ports": [80, 81]}]}, "validation", "rules.0..ports"),
        ({"rules": [{"type": "tcp", "ports": [1], "applies_to": ["network"]}]}, "validation", "can't probe a network"),
        ({"rules": [{"type": "http", "path": "x"}]}, "validation", "rules.0..path"),
        ({"rules": [{"type": "dns", "server": "not an address"}]}, "validation", "rules.0..server"),
        ({"rules": [{"type": "dns", "server": "https://x/"}]}, "validation", "rules.0..server"),
        ({"rules": [{"type": "dns", "query": "-x"}]}, "validation", "rules.0..query"),
        ({"rules": [{"type": "tls", "ca_path": "/nothing/here"}]}, "not_found", "ca_path"),
        ({"rules": [{"type": "tls", "ca_path": "/etc/passwd"}]}, "validation", "ca_path"),
        ({"rules": [{"type": "query", "ports": [1], "transport": "udp"}]}, "validation", "send is empty"),
        ({"rules": [{"type": "command"}]}, "validation", "argv"),
        ({"rules": [{"type": "command", "argv": ["{TARGET}"]}]}, "validation", "argv"),
        ({"rules": [PING | {"argv": ["id"]}]}, "validation", "argv is for"),
        ({"timeout": 0}, "validation", "timeout"),
        ({"concurrency": 0}, "validation", "concurrency"),
        ({"minimum_score": 101}, "validation", "minimum_score"),
    ],
)
def test_bad_input_is_named(options, kind, says):
    wanted = {"targets": [HOST], "rules": [PING], "timeout": 1.0, "concurrency": 10, **options}
    with pytest.raises(ToolkitError, match=says) as error:
        probe(wanted)
    assert error.value.kind == kind
    assert error.value.hint


@pytest.mark.parametrize("evil", [r"(a+)+$", r"(a|aa)+$", r"(.*a){20}$", r"a*a*a*a*a*a*a*a*b", r"([a-z]+\s?)*$x"])
def test_an_evil_pattern_is_given_up(evil):
    pattern = Pattern(evil, "rules[0].success_pattern")
    with pytest.raises(TimeoutExpired, match="given up"):
        pattern.found_in("a" * (MOST_TEXT - 1) + "!")
    # It costs its time once, for it is not tried again.
    with pytest.raises(TimeoutExpired):
        pattern.found_in("a")


def test_patterns_after_an_evil_one_are_searched_for():
    with pytest.raises(TimeoutExpired):
        Pattern(r"(a+)+$", "x").found_in("a" * 100 + "!")
    good = Pattern(r"^b+$", "x")
    assert good.found_in("a\nbb\n")
    assert not good.found_in("abb")
    assert not good.found_in("a" * MOST_TEXT + "\nbb")


def test_a_target_is_probed_by_the_rules_of_its_type():
    targets = make_targets(
        [
            {"name": "host", "address": "192.0.2.1", "type": "host"},
            {"name": "service", "address": "https://www.example/", "type": "service"},
            {"name": "network", "address": "192.0.2.0/24", "type": "network"},
        ]
    )
    rules = make_rules(rules_of_sets(RULE_SETS), 3.0)
    found = {target.name: [rule.name for rule in applying] for target, applying in rules_for(targets, rules)}
    assert found == {
        "host": ["ping_test", "latency_check", "dns_resolution", "open_ports", "ssh_service"],
        "service": ["ping_test", "latency_check", "dns_resolution", "open_ports", "http_service", "ssh_service"],
        "network": ["network_discovery"],
    }
    assert all(rule.remediation for rule in rules)


def test_ports_are_those_of_the_rule_then_of_the_target_then_the_usual():
    plain, other = make_targets([{"address": "192.0.2.1"}, {"address": "192.0.2.2:8080"}])
    own, usual, none = make_rules(
        [{"name": "own", "type": "http", "ports": [81]}, {"type": "http"}, {"type": "tcp", "default_ports": [22, 80]}],
        3.0,
    )
    assert [own.ports_of(target) for target in (plain, other)] == [[81], [81]]
    assert [usual.ports_of(target) for target in (plain, other)] == [[80], [8080]]
    assert [none.ports_of(target) for target in (plain, other)] == [[22, 80], [8080]]
