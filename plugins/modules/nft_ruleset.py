#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nft_ruleset
short_description: Firewall of a host as one nftables table, with commit-confirm
version_added: 1.0.0
author: [scripts.toolkit contributors (@scripts-toolkit)]
description:
  - Keeps one nftables table of its own. Other tables are neither read nor changed, and the rule set is never flushed,
    so Docker, fail2ban, libvirt and your own rules stay what they are.
  - B(Commit-confirm.) New rules go live without being written to C(/etc), with a rollback already armed as a systemd
    timer on the host. Then the controller opens a I(new) connection (never a reused control socket). Only when that
    succeeds within O(confirm_timeout), the rules are written for the next boot. Otherwise the previous rules return by
    themselves, also when the controller dies, and a restart in between brings them back too.
  - Where the connection is neither ssh nor paramiko, no such proof exists. Then rules that close the port of the host's
    ssh server, or that shut out somebody who is logged in over ssh, are refused instead.
  - Loopback, answers to own connections, ICMP errors and echo, IPv6 neighbor discovery and DHCPv6 are always allowed.
    Packets of no known connection (C(ct state invalid)) are always dropped.
  - The whole table is replaced in one transaction; established connections continue.
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.action
  - scripts.toolkit.attributes.bulk
  - scripts.toolkit.commit_confirm
options:
  rules:
    description:
      - What to let in (or out), in this order; the first rule that matches decides.
      - A string of ports, V("80,443,22"), with ranges V("8000-8010") and protocols V("53/udp"); TCP is the default.
      - Or a list of such strings and of dicts with the keys C(port) or C(ports), C(protocol) (V(tcp), V(udp), V(icmp),
        V(any)), C(source) and C(destination) (addresses or networks, IPv4 and IPv6 may be mixed), C(interface)
        (V(eth*) works), C(action) (V(accept), V(drop), V(reject); default V(accept)), C(direction) (V(input),
        V(output), V(forward); default V(input)), C(limit) (V(10/minute), V(10/minute burst 20)), C(log) (a prefix for
        the kernel log) and C(comment).
    type: raw
    default: []
  policy:
    description: What happens to incoming packets that no rule matches.
    type: str
    choices: [drop, accept]
    default: drop
  output_policy:
    description: What happens to outgoing packets that no rule matches.
    type: str
    choices: [drop, accept]
    default: accept
  forward_policy:
    description:
      - What happens to forwarded packets that no rule matches.
      - V(drop) also stops containers and virtual machines whose traffic this host routes.
    type: str
    choices: [drop, accept]
    default: accept
  table:
    description: Name of the table, of family C(inet). It must not be a table that somebody else made.
    type: str
    default: scripts_toolkit
  state:
    description: V(absent) removes the table, its file and the unit that loads it.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: scripts.toolkit.sshd_config
"""

EXAMPLES = r"""
- name: Only ssh and web get in
  scripts.toolkit.nft_ruleset:
    rules: "22,80,443"

- name: PostgreSQL for the office, ssh with a rate limit, name server for all
  scripts.toolkit.nft_ruleset:
    rules:
      - "80,443"
      - {port: 22, limit: 30/minute burst 20, comment: ssh}
      - {port: 5432, source: [10.20.0.0/16, "2001:db8:20::/48"]}
      - {port: 53/udp}
    confirm_timeout: 60

- name: No firewall of ours any more
  scripts.toolkit.nft_ruleset:
    state: absent
"""

RETURN = r"""
table:
  description: Family and name of the table.
  returned: success
  type: str
  sample: inet scripts_toolkit
allowed_ports:
  description: The ports of all accepting input rules.
  returned: success
  type: list
  elements: str
  sample: [22/tcp, 80/tcp, 443/tcp]
listening:
  description: The sockets of the host that take connections or datagrams, with C(protocol), C(address) and C(port).
  returned: success
  type: list
  elements: dict
  sample: [{"protocol": "tcp", "address": "0.0.0.0", "port": 22}]
proof:
  description:
    - V(connection) - a new connection has confirmed the live rules.
    - V(none) - they were applied without proof.
    - V(not_needed) - the live rules did not change.
  returned: success
  type: str
rolled_back:
  description: Whether the host went back to its previous rules, because nobody confirmed in time.
  returned: always
  type: bool
error:
  description: What went wrong, with C(kind), C(message), C(hint) and C(item).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._confirm.session import CONFIRM_SPEC
from ..module_utils._core.commands import Commands
from ..module_utils._core.module import run_module
from ..module_utils._firewall.ruleset import Ruleset


def main():
    policy = {"type": "str", "choices": ["drop", "accept"]}
    module = AnsibleModule(
        argument_spec={
            "rules": {"type": "raw", "default": []},
            "policy": {**policy, "default": "drop"},
            "output_policy": {**policy, "default": "accept"},
            "forward_policy": {**policy, "default": "accept"},
            "table": {"type": "str", "default": "scripts_toolkit"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **CONFIRM_SPEC,
        },
        supports_check_mode=True,
    )
    run_module(
        module,
        lambda this: Ruleset(this.params, Commands(this.run_command), this.check_mode, this.warn).work(),
    )


if __name__ == "__main__":
    main()
