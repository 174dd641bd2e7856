#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: network_path_info
short_description: The way of packets to many destinations with routers, path MTU, kernel routes and neighbours
version_added: 1.0.0
author:
  - scripts.toolkit contributors (@scripts-toolkit)
description:
  - Finds from this host, for a whole list of destinations at once, the routers on the way, the largest packet that
    arrives unfragmented, and the route that the kernel takes. It also lists the neighbours on the links.
  - Real packets decide about the path MTU. So a black hole is found, where large packets vanish although no router says
    so, with the largest size that arrives and the last router that larger packets reach.
  - Packets are UDP to ports on which nothing should listen, as C(traceroute) and C(tracepath) send them. That needs no
    privileges. A destination that answers no UDP packet shows its routers, but not itself.
  - The filter P(scripts.toolkit.network_topology#filter) makes one drawing of the results of many hosts.
extends_documentation_fragment:
  - scripts.toolkit.attributes.info
  - scripts.toolkit.attributes.bulk
options:
  destinations:
    description:
      - IPv4 and IPv6 addresses, and names, which this host resolves. International names are encoded by IDNA 2003.
    type: list
    elements: str
    required: true
  ip_version:
    description: The version of the addresses to which names are resolved. V(any) takes what this host prefers.
    type: str
    choices: [any, "4", "6"]
    default: any
  max_hops:
    description: The farthest hop to ask, 1 to 255.
    type: int
    default: 30
  probes:
    description: Packets to each hop, 1 to 10. Silent ones may get a few more.
    type: int
    default: 3
  timeout:
    description: Seconds to wait for each answer, 0.05 to 60.
    type: float
    default: 1.0
  max_silent_hops:
    description: Stop after so many hops in a row that do not answer, 1 to 255.
    type: int
    default: 8
  port:
    description: The first of 512 UDP ports to send to, 1 to 65024.
    type: int
    default: 33434
  mtu:
    description:
      - Whether to find the path MTU. In a black hole that takes about 12 times O(timeout), else a few packets.
    type: bool
    default: true
  resolve_names:
    description: Whether to look up the names of the hops, for 3 seconds at most.
    type: bool
    default: false
  parallel:
    description: Destinations at once, 1 to 500.
    type: int
    default: 100
seealso:
  - name: Paths of packets
    description: What is measured, and what it can't tell.
    link: https://github.com/scripts-toolkit/scripts.toolkit/blob/main/docs/network-path.md
"""

EXAMPLES = r"""
- name: The way to the name server and to the other hosts
  scripts.toolkit.network_path_info:
    destinations: ["192.0.2.53", "2001:db8::53", "{{ inventory_hostname }}"]
    resolve_names: true
  register: paths

- name: Fail where large packets vanish
  ansible.builtin.assert:
    that: paths.outcomes | map(attribute='mtu.status') is not contains('black_hole')

- name: Draw the network that all hosts see
  ansible.builtin.copy:
    content: "{{ [paths] | scripts.toolkit.network_topology('svg') }}"
    dest: /tmp/network.svg
    mode: "0644"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
outcomes:
  description: What was found for each destination, in the order given.
  returned: success or failure
  type: list
  elements: dict
  contains:
    item:
      description: The destination as given.
      type: str
    changed:
      description: Always false.
      type: bool
    address:
      description: The address to which packets were sent.
      type: str
    addresses:
      description: All addresses of the name.
      type: list
      elements: str
    route:
      description:
        - The route of the kernel, with C(destination), C(gateway) (null on the same link), C(device), C(source),
          C(local), and C(mtu_bytes) where the route has another size than its device.
      type: dict
    arrived:
      description: Whether the destination answered.
      type: bool
    end:
      description:
        - Why the list of hops ends there. V(arrived), V(max_hops), V(silence), or what a router or host answered,
          V(network_unreachable), V(host_unreachable), V(protocol_unreachable), V(prohibited), V(unreachable).
      type: str
    hops:
      description:
        - For each hop its C(ttl), C(address) (null if silent), all C(addresses) that answered, C(name), C(answer),
          C(rtts_ms) in milliseconds, and how many packets were C(sent) and C(lost).
      type: list
      elements: dict
    mtu:
      description:
        - The path MTU. Null without O(mtu).
        - C(status) is V(found), V(black_hole), or V(unanswered) where the destination answers no packet of any size.
        - C(bytes) is the largest packet that arrives, IP header included, C(interface_bytes) that of the device.
        - C(limits) lists routers that said which size passes, with C(address) and C(bytes).
        - C(black_hole) has C(from_bytes), the smallest size that vanishes, C(last_ttl) and C(last_address) of the last
          hop that it reaches (0 and null for this host), C(next_ttl) and C(next_address) of the next known one.
      type: dict
  sample:
    - item: www.example.com
      changed: false
      address: 192.0.2.80
      addresses: [192.0.2.80]
      route:
        destination: 192.0.2.80
        gateway: 198.51.100.1
        device: eth0
        source: 198.51.100.7
        mtu_bytes:
        local: false
      arrived: true
      end: arrived
      hops:
        - ttl: 1
          address: 198.51.100.1
          addresses: [198.51.100.1]
          name: gateway.example.com
          answer: time_exceeded
          rtts_ms: [0.412, 0.388, 0.391]
          sent: 3
          lost: 0
      mtu:
        status: black_hole
        bytes: 1400
        interface_bytes: 1500
        limits: []
        black_hole:
          from_bytes: 1401
          last_ttl: 1
          last_address: 198.51.100.1
          next_ttl: 2
          next_address: 192.0.2.80
neighbours:
  description:
    - Hosts on the same links that the kernel knows, with C(address), C(device), C(link_address), C(state), C(router).
  returned: success or failure
  type: list
  elements: dict
  sample:
    - address: 198.51.100.1
      device: eth0
      link_address: 52:54:00:12:34:56
      state: reachable
      router: false
vantage:
  description: This host, with its C(hostname) and its C(addresses) of global scope.
  returned: success or failure
  type: dict
  sample:
    hostname: web01
    addresses: [198.51.100.7]
error:
  description: What is wrong with the first destination that failed, with C(kind), C(message), C(hint) and C(item).
  returned: on failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.commands import Commands
from ..module_utils._core.module import run_module
from ..module_utils._network.path.report import path_info


def main():
    module = AnsibleModule(
        argument_spec={
            "destinations": {"type": "list", "elements": "str", "required": True},
            "ip_version": {"type": "str", "choices": ["any", "4", "6"], "default": "any"},
            "max_hops": {"type": "int", "default": 30},
            "probes": {"type": "int", "default": 3},
            "timeout": {"type": "float", "default": 1.0},
            "max_silent_hops": {"type": "int", "default": 8},
            "port": {"type": "int", "default": 33434},
            "mtu": {"type": "bool", "default": True},
            "resolve_names": {"type": "bool", "default": False},
            "parallel": {"type": "int", "default": 100},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda this: path_info(this.params, Commands(this.run_command)))


if __name__ == "__main__":
    main()
