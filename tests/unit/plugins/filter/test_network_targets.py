# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters network_targets and network_target_lines."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.scripts.toolkit.plugins.filter.network_target_lines import FilterModule as ToLines
from ansible_collections.scripts.toolkit.plugins.filter.network_targets import FilterModule as FromLines

from_lines = FromLines().filters()["network_targets"]
to_lines = ToLines().filters()["network_target_lines"]


def test_they_are_inverse() -> None:
    text = "TARGET:web01|192.0.2.5|host|site=berlin\nRULE:ping|icmp|host|||100/500|Look at the cable.\n"
    assert to_lines(from_lines(text)) == text


def test_bad_input_is_an_error_that_names_the_filter() -> None:
    with pytest.raises(AnsibleFilterError, match=r"network_targets: Line 1: .*neither"):
        from_lines("HOST:web01")
    with pytest.raises(AnsibleFilterError, match=r"network_targets: give a text"):
        from_lines(["TARGET:web01|::1"])
    with pytest.raises(AnsibleFilterError, match=r"network_target_lines: .*ports"):
        to_lines({"targets": [{"address": "::1"}], "rules": [{"type": "tcp", "ports": [80]}]})
    with pytest.raises(AnsibleFilterError, match=r"network_target_lines: give a mapping"):
        to_lines("TARGET:web01|::1")
