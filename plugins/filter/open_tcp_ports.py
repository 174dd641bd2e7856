# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter open_tcp_ports; its documentation is in open_tcp_ports.yml."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._firewall.rules import parse_rules


def _open_tcp_ports(rules: object, option: str = "rules", anyone: bool = False) -> list[int]:
    try:
        parsed = parse_rules(rules, option)
    except ToolkitError as error:
        raise AnsibleFilterError(error.as_result()["msg"]) from error
    ports = {
        port
        for rule in parsed
        if (rule.direction, rule.action, rule.protocol) == ("input", "accept", "tcp")
        and not (anyone and (rule.sources or rule.destinations or rule.interfaces))
        for low, high in rule.ports
        for port in range(low, high + 1)
    }
    return sorted(ports)


class FilterModule:
    """Jinja2 filters of this file."""

    def filters(self) -> dict:
        return {"open_tcp_ports": _open_tcp_ports}
