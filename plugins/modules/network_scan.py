#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: network_scan
short_description: Find hosts and open ports in address ranges, and hold them against what should be open
version_added: 1.0.0
author:
  - scripts.toolkit contributors (@scripts-toolkit)
description:
  - Scans addresses, ranges and networks from the host on which it runs, all in one call and at the same time. It tells
    which hosts are there, which of their TCP and UDP ports are open, and what the services say of themselves.
  - A policy says which ports must be open and which must not be. With O(fail_on_violation) it is a gate.
  - It needs nothing but Python. TCP ports are asked by whole connections, so no privileges are needed. ICMP goes
    unprivileged where the kernel allows it, else it needs root.
  - Only open ports are kept, all others are counted, so memory does not grow with the number of ports.
  - Scan only what is yours, or what you were asked to. Services write connections to their logs, and intrusion
    detection may raise an alarm.
extends_documentation_fragment:
  - scripts.toolkit.attributes.info
  - scripts.toolkit.attributes.bulk
options:
  targets:
    description: What to scan. An address that is in several targets is scanned for each of them.
    type: list
    elements: dict
    required: true
    suboptions:
      address:
        description:
          - An address, a network such as V(192.0.2.0/24), a range such as V(192.0.2.10-192.0.2.20) or V(192.0.2.10-20),
            or a host name. IPv6 likewise; a link-local address with its interface, V(fe80::1%eth0).
          - Of a network, its own address and the broadcast address are left out. Of a name, the first address is taken.
          - The ports of a single host are asked whether or not it answers to O(discovery), those of a range only where
            something does.
        type: str
        required: true
      exclude:
        description: Addresses and ranges to leave out of this target, beside those of the top-level O(exclude).
        type: list
        elements: str
        default: []
      ports:
        description: As the top-level O(ports), for this target.
        type: list
        elements: str
      expected:
        description: As the top-level O(expected), for this target.
        type: list
        elements: str
      allowed:
        description: As the top-level O(allowed), for this target.
        type: list
        elements: str
      forbidden:
        description: As the top-level O(forbidden), for this target.
        type: list
        elements: str
  exclude:
    description: Addresses and ranges to leave out of all targets.
    type: list
    elements: str
    default: []
  ports:
    description:
      - The ports to ask, beside those of O(expected) and O(forbidden). Each is a number, a range such as V(8000-8010),
        the name of a service in C(/etc/services), or a set. C(/udp) behind it makes it UDP, V(53/udp) for example;
        otherwise it is TCP.
      - The sets are V(common) (some 50 services that administrators should know of), V(web), V(email), V(database),
        V(remote), V(system) (1 to 1023) and V(all).
      - An empty list only finds hosts.
    type: list
    elements: str
    default: [common]
  expected:
    description:
      - Ports that must be open, written as O(ports). On every host of the target that is there, on a single one always.
      - UDP services that answer nothing to a stranger can't be seen to be open.
    type: list
    elements: str
  allowed:
    description:
      - Ports that may be open beside the expected ones. If it is set, every other port that is found open is a
        violation, so V([]) allows none. They are not asked unless they are in O(ports) too.
    type: list
    elements: str
  forbidden:
    description: Ports that must not be open.
    type: list
    elements: str
  discovery:
    description:
      - How to find out which hosts are there. V(icmp) sends echo requests, V(tcp) connects to ports 22, 80 and 443
        (being refused is an answer too), V(neighbours) looks in the kernel's table of neighbours (ARP, NDP) for those
        on the same link that answered to nothing else.
      - Not set, all are used that can be, and RV(discovery) says which could not. If it is set, one that can't be used
        is an error.
      - With an empty list, the ports of every address are asked, which takes long where nothing is.
    type: list
    elements: str
    choices: [icmp, tcp, neighbours]
  banners:
    description:
      - Read what a TCP service says of itself when somebody connects, at most 200 characters, without control
        characters.
      - On ports that are customary for HTTP, a C(HEAD) request is sent. Other services get no byte, since nobody knows
        what they would make of it.
    type: bool
    default: false
  timeout:
    description:
      - Seconds to wait for an answer. The kernel repeats a lost TCP packet after one second, so with 2 or more one may
        be lost.
    type: float
    default: 1
  tries:
    description: How often a UDP or ICMP request is sent before silence counts.
    type: int
    default: 2
  concurrency:
    description:
      - How many connections and requests may wait for an answer at the same time. Fewer if the host allows fewer open
        files.
    type: int
    default: 1000
  rate:
    description:
      - How many may be started in a second at most. Not set, as many as O(concurrency) lets through.
      - Linux answers only about one closed UDP port a second to the same asker after the first six. Others are
        V(open_or_filtered) unless the rate is that low.
    type: float
  max_addresses:
    description: More addresses than these are refused.
    type: int
    default: 4096
  max_probes:
    description: More probes than these, addresses times ports and discovery, are refused.
    type: int
    default: 1000000
  limit:
    description: How many violations are returned. All are counted.
    type: int
    default: 1000
  fail_on_violation:
    description: Fail if there are violations. Otherwise only RV(ok) and RV(violations) say so.
    type: bool
    default: false
seealso:
  - module: scripts.toolkit.network_info
  - module: scripts.toolkit.site_check
"""

EXAMPLES = r"""
- name: Which hosts are there, and what do they offer?
  scripts.toolkit.network_scan:
    targets:
      - address: 192.0.2.0/24
        exclude: [192.0.2.1]
    banners: true
  register: network

- name: Web servers offer ssh and the web, and nothing else
  scripts.toolkit.network_scan:
    ports: [all]
    expected: [ssh, http, https]
    allowed: []
    fail_on_violation: true
    targets:
      - address: web01.example.com
      - address: web02.example.com

- name: Name servers answer, and no database can be reached from here
  scripts.toolkit.network_scan:
    ports: []
    targets:
      - address: 192.0.2.53
        expected: [domain, domain/udp]
      - address: 192.0.2.0/25
        forbidden: [database, telnet]
  register: reachable
"""

RETURN = r"""
ok:
  description: Whether nothing is against the policy, and every target could be scanned.
  returned: success or failure
  type: bool
outcomes:
  description:
    - What was found. One for each single host in any case, one for each host of a range that is there; by target, then
      by address.
  returned: success or failure
  type: list
  elements: dict
  contains:
    item:
      description: The target if it is a single host, else the address.
      type: str
    changed:
      description: Always false.
      type: bool
    target:
      description: The target as given.
      type: str
    address:
      description: The address.
      type: str
    up:
      description: Whether anything came back.
      type: bool
    answered_by:
      description: What came back first, V(icmp), V(tcp), V(udp) or V(neighbour); else null.
      type: str
    latency_ms:
      description: Milliseconds until it came back, where discovery measured them; else null.
      type: float
    mac:
      description: The hardware address, where the host is on the same link; else null.
      type: str
    ports:
      description: The open ports. The service is what is customary on the port, the banner what was read.
      type: list
      elements: dict
      contains:
        port:
          description: Its number.
          type: int
        protocol:
          description: V(tcp) or V(udp).
          type: str
        service:
          description: Name of the service that is customary there; null if none is known.
          type: str
        banner:
          description: What it said; null if nothing, or if nobody asked.
          type: str
    counts:
      description:
        - How many of the ports are in each state. V(open) was accepted or answered, V(closed) was refused by the host,
          V(filtered) got no answer or one from the network that it can't be reached, V(open_or_filtered) is UDP without
          an answer.
      type: dict
    violations:
      description: How many there are on this host.
      type: int
    error:
      description: Why it could not be scanned. Absent otherwise.
      type: dict
  sample:
    - item: 192.0.2.7
      changed: false
      target: 192.0.2.0/24
      address: 192.0.2.7
      up: true
      answered_by: icmp
      latency_ms: 0.312
      mac: 52:54:00:12:34:56
      ports:
        - port: 22
          protocol: tcp
          service: ssh
          banner: SSH-2.0-OpenSSH_10.0p2 Debian-7
      counts: {open: 1, closed: 49, filtered: 0, open_or_filtered: 0}
      violations: 0
violations:
  description: What is against the policy, at most O(limit).
  returned: success or failure
  type: list
  elements: dict
  contains:
    item:
      description: As in RV(outcomes).
      type: str
    address:
      description: The address.
      type: str
    port:
      description: The port.
      type: int
    protocol:
      description: V(tcp) or V(udp).
      type: str
    service:
      description: Name of the service that is customary there.
      type: str
    rule:
      description: V(expected), V(allowed) or V(forbidden).
      type: str
    found:
      description: The state of the port.
      type: str
    hint:
      description: The way out.
      type: str
violation_count:
  description: How many there are.
  returned: success or failure
  type: int
violation_counts:
  description: How many there are by rule.
  returned: success or failure
  type: dict
  sample: {forbidden: 1}
counts:
  description: How many addresses were looked at, how many are up, and how many ports are in each state.
  returned: success or failure
  type: dict
  sample: {addresses: 253, up: 12, open: 31, closed: 569, filtered: 0, open_or_filtered: 0}
discovery:
  description: Which methods were used, and why others could not be.
  returned: success or failure
  type: dict
  sample: {used: [tcp, neighbours], unavailable: {icmp: This user may not send ICMP echo requests.}}
started:
  description: When the scan began, in UTC.
  returned: success or failure
  type: str
wall_seconds:
  description: How long it took.
  returned: success or failure
  type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.commands import Commands
from ..module_utils._core.module import run_module
from ..module_utils._network.scan.request import SCAN_SPEC
from ..module_utils._network.scan.scan import scan


def main():
    module = AnsibleModule(argument_spec=SCAN_SPEC, supports_check_mode=True)
    run_module(module, lambda module: scan(module.params, Commands(module.run_command)))


if __name__ == "__main__":
    main()
