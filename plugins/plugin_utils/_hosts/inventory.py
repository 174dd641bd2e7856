# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How to reach hosts: arguments for ssh, and an inventory for Ansible."""

from __future__ import annotations

import json
import re
import shlex

from .layout import SUITES, Layout

__all__ = ["inventory", "inventory_yaml", "known_hosts", "ssh_arguments", "ssh_options"]


_PLAIN = re.compile(r"all|vars|children|hosts|debian\d+|ansible_\w+", re.ASCII)


def ssh_options(layout: Layout) -> list[str]:
    """Return ssh's options for the hosts: their keys are known beforehand, so an unknown one is refused."""
    return [
        "-o", f"UserKnownHostsFile={layout.known_hosts}",
        "-o", "GlobalKnownHostsFile=/dev/null",
        "-o", "StrictHostKeyChecking=yes",
        "-o", "UpdateHostKeys=no",
        "-o", "IdentitiesOnly=yes",
    ]  # fmt: skip


def ssh_arguments(layout: Layout, address: str, command: list[str], timeout: int = 10) -> list[str]:
    """Return the argument list of an ssh call to the host at ``address``; no ``command`` gives a login shell."""
    options = ["-i", layout.key, "-o", f"ConnectTimeout={timeout}", "-o", "LogLevel=ERROR"]
    return ["ssh", "-F", "none", *options, *ssh_options(layout), f"root@{address}", *command]


def known_hosts(keys: dict[str, list[str]]) -> str:
    """Return the text of a known_hosts file, sshd(8), from ``{address: ["type base64", ...]}``."""
    return "".join(f"{address} {key}\n" for address in sorted(keys) for key in keys[address])


def inventory(layout: Layout, hosts: dict[str, dict]) -> dict:
    """Return an Ansible inventory of ``{name: record}`` in the form of inventory files, grouped by Debian release."""
    groups: dict[str, dict] = {}
    for name, record in sorted(hosts.items()):
        groups.setdefault(SUITES[record["suite"]], {"hosts": {}})["hosts"][name] = {"ansible_host": record["address"]}
    variables = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": layout.key,
        "ansible_ssh_common_args": shlex.join(ssh_options(layout)),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    return {"all": {"vars": variables, "children": groups}}


def _quoted(value: object) -> str:
    """Return a scalar as YAML; text in double quotes, everything unusual in it escaped."""
    if not isinstance(value, str):
        return json.dumps(value)
    usual = (c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value)
    return f'"{"".join(usual)}"'


def inventory_yaml(data: dict, indent: int = 0) -> str:
    """Return nested dictionaries of scalars as YAML. Host names are quoted: ``no`` and ``1`` are good host names."""
    lines = []
    for name, value in data.items():
        key = name if _PLAIN.fullmatch(name) else _quoted(name)
        if isinstance(value, dict) and value:
            lines.append(f"{' ' * indent}{key}:\n{inventory_yaml(value, indent + 2)}")
        else:
            lines.append(f"{' ' * indent}{key}: {_quoted(value)}\n")
    return "".join(lines)
