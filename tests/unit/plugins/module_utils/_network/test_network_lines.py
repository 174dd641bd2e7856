# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Targets and rules as lines of text, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._network.targets.lines import from_lines, to_lines

TEXT = r"""
# The old script's list
TARGET:web01|192.0.2.5|host|site=berlin,rack=3
TARGET:shop|https://shop.example.com/health|service|the shop, in words
TARGET:office|192.0.2.0/24|network
RULE:ping|icmp|host,network|||100/500|Look at the cable.
RULE:shop|https|service|up\|ready|down|21/7|Restart it.
RULE:clock|ntp|all|||1000
RULE:ssh|ssh
"""
READ = {
    "targets": [
        {"name": "web01", "address": "192.0.2.5", "type": "host", "info": {"site": "berlin", "rack": "3"}},
        {
            "name": "shop",
            "address": "https://shop.example.com/health",
            "type": "service",
            "info": {"text": "the shop, in words"},
        },
        {"name": "office", "address": "192.0.2.0/24", "type": "network"},
    ],
    "rules": [
        {
            "name": "ping",
            "type": "icmp",
            "applies_to": ["host", "network"],
            "warn_ms": 100.0,
            "fail_ms": 500.0,
            "remediation": "Look at the cable.",
        },
        {
            "name": "shop",
            "type": "https",
            "applies_to": ["service"],
            "success_pattern": "up|ready",
            "error_pattern": "down",
            "warn_days": 21,
            "fail_days": 7,
            "remediation": "Restart it.",
        },
        {"name": "clock", "type": "ntp", "fail_offset_ms": 1000.0},
        {"name": "ssh", "type": "ssh"},
    ],
}


def test_lines_are_read():
    assert from_lines(TEXT) == READ


def test_what_was_read_is_written_and_read_again():
    written = to_lines(READ["targets"], READ["rules"])
    assert from_lines(written) == READ
    assert written.splitlines()[0] == "TARGET:web01|192.0.2.5|host|site=berlin,rack=3"
    assert to_lines(**from_lines(written)) == written


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("HOST:web01|192.0.2.5", "neither TARGET: nor RULE:"),
        ("TARGET", "neither"),
        ("TARGET:web01", "address is missing"),
        ("TARGET:web01|300.0.0.1", "not an address"),
        ("TARGET:web01|::1|server", "type 'server' is not known"),
        ("TARGET:a|::1|host|i|more", "5 fields"),
        ("RULE:x", "type"),
        ("RULE:x|pong", "'pong' is not known"),
        ("RULE:x|icmp|servers", "target type 'servers'"),
        ("RULE:x|http||((", "regular expression"),
        ("RULE:x|icmp||||fast", "threshold 'fast'"),
        ("RULE:x|tls||||1.5", "whole days"),
        ("RULE:x|icmp||||1/2/3", "threshold"),
    ],
)
def test_a_line_that_can_not_be_used_is_named(line, says):
    with pytest.raises(ValidationError, match=f"^Line 3: .*{says}") as error:
        from_lines(f"# comment\n\n{line}\n")
    assert error.value.hint


@pytest.mark.parametrize(
    ("targets", "rules", "says"),
    [
        ([], [{"type": "tcp", "ports": [80]}], "ports"),
        ([{"address": "::1", "port": 80}], [], "port"),
        ([{"address": "::1", "info": {"a": "b,c=d"}}], [], "info"),
        ([], [{"type": "icmp", "remediation": "one\ntwo"}], "one"),
        ([], [{"type": "icmp", "warn_ms": 5.0}], "warn_ms alone"),
    ],
)
def test_what_does_not_fit_into_a_line_is_named(targets, rules, says):
    with pytest.raises(ValidationError, match=says) as error:
        to_lines(targets or [{"address": "::1"}], rules)
    assert "YAML" in error.value.hint


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1), st.text(st.characters(codec="ascii")))
def test_names_and_texts_survive(name, remediation):
    targets = [{"name": name, "address": "192.0.2.1", "type": "host"}]
    rules = [{"name": name, "type": "icmp", "remediation": remediation}]
    try:
        written = to_lines(targets, rules)
    except ValidationError:
        return
    read = from_lines(written)
    assert read["targets"] == targets
    assert read["rules"] == [{key: value for key, value in rules[0].items() if value}]
