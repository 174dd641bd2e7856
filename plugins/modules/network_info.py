#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: network_info
short_description: Interfaces, routes, resolvers, neighbours and listening sockets in one structure
version_added: 1.0.0
author:
  - scripts.toolkit contributors (@scripts-toolkit)
description:
  - Tells in one call what the network of a host is like. Link state, speed, addresses and counters of its interfaces;
    its routes and the rules that choose among them; which servers it asks for names; how many neighbours it knows;
    which sockets listen, and whose they are.
  - The same for hosts with IPv4 only, IPv6 only, or both.
  - It asks C(ip -j) of Debian's package iproute2, and for the rest the kernel's files in C(/proc) and C(/sys).
extends_documentation_fragment:
  - scripts.toolkit.attributes.info
options:
  subsets:
    description: What to tell.
    type: list
    elements: str
    choices: [interfaces, routes, resolvers, neighbours, listening]
    default: [interfaces, routes, resolvers, neighbours, listening]
seealso:
  - module: scripts.toolkit.network_scan
"""

EXAMPLES = r"""
- name: Look at the network
  scripts.toolkit.network_info:
  register: network

- name: Every interface that is enabled has a link
  ansible.builtin.assert:
    that: network.interfaces | selectattr('enabled') | rejectattr('carrier') | length == 0

- name: Which services listen, whatever the firewall says?
  scripts.toolkit.network_info:
    subsets: [listening]
  register: services
"""

RETURN = r"""
interfaces:
  description: The interfaces, by index.
  returned: if V(interfaces) is in O(subsets)
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    index:
      description: Its number.
      type: int
    kind:
      description: V(ether), V(loopback), or what virtual device it is, such as V(bridge), V(veth), V(vlan).
      type: str
    master:
      description: The bridge or bond that it is part of; else null.
      type: str
    enabled:
      description: Whether it was set up.
      type: bool
    carrier:
      description: Whether there is a link, a cable that is plugged in at both ends for example.
      type: bool
    state:
      description: The operational state of RFC 2863, such as V(up), V(down), V(lowerlayerdown), V(unknown).
      type: str
    carrier_changes:
      description: How often the link came or went.
      type: int
    mtu:
      description: Most bytes of a packet.
      type: int
    mac:
      description: The hardware address of one of ethernet's kind; else null.
      type: str
    speed_mbps:
      description: Megabits a second; null where it has no speed or no link.
      type: int
    duplex:
      description: V(full) or V(half); null where it has none.
      type: str
    addresses:
      description:
        - Addresses with V(prefix), V(family), V(scope) and V(flags) such as V(dadfailed), V(tentative), V(dynamic).
      type: list
      elements: dict
    counters:
      description: Bytes, packets, errors and dropped packets received (C(rx_)) and sent (C(tx_)).
      type: dict
  sample:
    - name: eth0
      index: 2
      kind: ether
      master:
      enabled: true
      carrier: true
      state: up
      carrier_changes: 2
      mtu: 1500
      mac: 52:54:00:12:34:56
      speed_mbps: 1000
      duplex: full
      addresses:
        - {address: 192.0.2.7, prefix: 24, family: ipv4, scope: global, flags: []}
      counters:
        {rx_bytes: 123456, rx_packets: 789, rx_errors: 0, rx_dropped: 0,
         tx_bytes: 4567, tx_packets: 89, tx_errors: 0, tx_dropped: 0}
routes:
  description: The routes of all tables but V(local), which the kernel makes of the addresses. Multicast is left out.
  returned: if V(routes) is in O(subsets)
  type: list
  elements: dict
  sample:
    - family: ipv4
      type: unicast
      destination: default
      gateway: 192.0.2.1
      interface: eth0
      table: main
      metric: 0
      protocol: static
      source:
      nexthops: []
default_routes:
  description: The route to everywhere else by family, V(ipv4) and V(ipv6); null where there is none.
  returned: if V(routes) is in O(subsets)
  type: dict
rules:
  description: The rules that choose a table of routes, in the order in which they are asked.
  returned: if V(routes) is in O(subsets)
  type: list
  elements: dict
  sample:
    - family: ipv4
      priority: 32766
      source: all
      destination: all
      table: main
      action: lookup
      fwmark:
      incoming:
      outgoing:
resolvers:
  description:
    - What C(/etc/resolv.conf) says. The V(file) is the one it leads to, null if there is none.
    - Where systemd-resolved runs, V(resolved) lists what it asks, by interface; else it is null.
  returned: if V(resolvers) is in O(subsets)
  type: dict
  sample:
    file: /run/systemd/resolve/stub-resolv.conf
    servers: [127.0.0.53]
    search: [example.com]
    options: [edns0, trust-ad]
    resolved:
      - {interface: eth0, servers: [192.0.2.53], domains: [example.com]}
neighbours:
  description: How many neighbours the kernel knows, by state and by interface.
  returned: if V(neighbours) is in O(subsets)
  type: dict
  sample: {total: 2, states: {reachable: 1, failed: 1}, interfaces: {eth0: 2}}
listening:
  description:
    - Sockets that take new connections or datagrams. An IPv4 address in IPv6 is shown as IPv4; V(::) may take IPv4 too.
    - Processes of other users are told to root only.
  returned: if V(listening) is in O(subsets)
  type: list
  elements: dict
  sample:
    - protocol: tcp
      address: 0.0.0.0
      port: 22
      processes: [{pid: 412, name: sshd}]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.commands import Commands
from ..module_utils._core.module import run_module
from ..module_utils._network.info.info import SUBSETS, network_info


def main():
    module = AnsibleModule(
        argument_spec={
            "subsets": {"type": "list", "elements": "str", "choices": list(SUBSETS), "default": list(SUBSETS)},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda module: network_info(module.params["subsets"], Commands(module.run_command)))


if __name__ == "__main__":
    main()
