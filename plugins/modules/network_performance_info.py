#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: network_performance_info
short_description: Latency, jitter and loss to many targets, and bandwidth between two hosts
version_added: 1.0.0
author:
  - scripts.toolkit contributors (@scripts-toolkit)
description:
  - Measures from this host, for a whole list of O(targets) at once, the distribution of round-trip times, their jitter
    and the loss, by ICMP echo or by TCP connections.
  - Measures the bandwidth between any two hosts with O(bandwidth). One runs it as server, the other as client, at the
    same time. It uses C(iperf3) where both sides have it, else a TCP stream of its own. The server serves one client
    that has the token, and ends by itself.
  - It installs nothing and changes nothing, in check mode as well. A bandwidth test loads the network while it runs.
extends_documentation_fragment:
  - scripts.toolkit.attributes.info
  - scripts.toolkit.attributes.bulk
options:
  targets:
    description: To what the latency is measured.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: IPv4 or IPv6 address, or a name, which this host resolves. International names by IDNA 2003.
        type: str
        required: true
      name:
        description: How the target is called in the result. By default its address.
        type: str
      port:
        description: Measure by opening TCP connections to this port. Without it, by ICMP echo.
        type: int
  count:
    description: Packets or connections to each target, 1 to 10000.
    type: int
    default: 20
  interval:
    description: Seconds between two of them, 0.001 to 60.
    type: float
    default: 0.1
  timeout:
    description: Seconds after which one counts as lost, 0.01 to 60.
    type: float
    default: 1.0
  size:
    description: Bytes of payload of an echo request, 16 to 65000. They are not fragmented.
    type: int
    default: 56
  ip_version:
    description: The version of the addresses to which names are resolved. V(any) takes what this host prefers.
    type: str
    choices: [any, "4", "6"]
    default: any
  parallel:
    description: Targets at once, 1 to 1000.
    type: int
    default: 500
  bandwidth:
    description: One side of a bandwidth test.
    type: dict
    suboptions:
      role:
        description: The server waits for the client; the client measures.
        type: str
        choices: [server, client]
        required: true
      address:
        description: The address or name of the server. The server listens on it only.
        type: str
        required: true
      port:
        description: The TCP port of the server. No other one is used.
        type: int
        default: 5201
      token:
        description:
          - A random text of at least 16 characters, the same for both sides. It does not cross the network; each side
            proves to the other that it has it.
        type: str
        required: true
      direction:
        description:
          - V(upload) sends from the client to the server, V(download) from the server to the client. Only the client's
            choice counts.
        type: str
        choices: [upload, download]
        default: upload
      seconds:
        description:
          - How long is sent at most, 0.1 to 300. The smaller one of both sides counts. C(iperf3) takes whole seconds.
        type: float
        default: 5.0
      max_bytes:
        description: How much is sent at most. The smaller one of both sides counts. With it, C(iperf3) is not used.
        type: int
      wait:
        description: Seconds that the server waits for the client, and the client for the server.
        type: float
        default: 30.0
      tool:
        description:
          - V(auto) uses C(iperf3) where both sides have it, and V(builtin) never. With V(iperf3), a client fails if it
            is not used, and a server if it is not installed.
        type: str
        choices: [auto, iperf3, builtin]
        default: auto
seealso:
  - name: Network performance
    description: What is measured and how, and how a playbook runs both sides of a bandwidth test.
    link: https://github.com/scripts-toolkit/scripts.toolkit/blob/main/docs/network-performance.md
"""

EXAMPLES = r"""
- name: Latency to the gateway, and to the database as clients have it
  scripts.toolkit.network_performance_info:
    count: 50
    targets:
      - address: 192.0.2.1
        name: gateway
      - address: db01.example.com
        port: 3306
  register: latency

- name: Fail if packets get lost
  ansible.builtin.assert:
    that: latency.outcomes | map(attribute='lost') | sum == 0

- name: Wait on db01 for the bandwidth test
  scripts.toolkit.network_performance_info:
    bandwidth:
      role: server
      address: 192.0.2.20
      token: "{{ bandwidth_token }}"
  async: 60
  poll: 0
  delegate_to: db01.example.com
  register: bandwidth_server

- name: Measure from this host to db01
  scripts.toolkit.network_performance_info:
    bandwidth:
      role: client
      address: 192.0.2.20
      token: "{{ bandwidth_token }}"
  register: bandwidth_client

- name: The server has ended by itself
  ansible.builtin.async_status:
    jid: "{{ bandwidth_server.ansible_job_id }}"
  delegate_to: db01.example.com
  register: bandwidth_job
  until: bandwidth_job.finished
  retries: 30
  delay: 1
"""

RETURN = r"""
outcomes:
  description: What was measured for each target, in the order given.
  returned: success or failure
  type: list
  elements: dict
  contains:
    item:
      description: The target's name.
      type: str
    changed:
      description: Always false.
      type: bool
    address:
      description: The address that was used.
      type: str
    method:
      description: V(icmp) or V(tcp).
      type: str
    port:
      description: The TCP port, null for ICMP.
      type: int
    sent:
      description: Packets or connections that were tried.
      type: int
    received:
      description: Of them, those that were answered in time.
      type: int
    lost:
      description: Of them, those that were not. A connection that is refused counts as lost.
      type: int
    loss_percent:
      description: The part that was lost.
      type: float
    rtt_ms:
      description:
        - Round-trip times in milliseconds, with C(min), C(mean), C(median), C(p95), C(p99), C(max) and C(stddev).
          Percentiles by nearest rank, the standard deviation of the population. Null if nothing came back.
      type: dict
    jitter_ms:
      description:
        - Interarrival jitter of RFC 3550 in milliseconds, of the round-trip times. Null of fewer than two.
      type: float
    errors:
      description: How many were lost for which reason, such as V(timeout), V(refused) or V(host_unreachable).
      type: dict
  sample:
    - item: gateway
      changed: false
      address: 192.0.2.1
      method: icmp
      port:
      sent: 50
      received: 49
      lost: 1
      loss_percent: 2.0
      rtt_ms: {min: 0.31, mean: 0.402, median: 0.38, p95: 0.61, p99: 0.9, max: 0.9, stddev: 0.101}
      jitter_ms: 0.043
      errors: {timeout: 1}
bandwidth:
  description:
    - What was measured by the side that receives, with C(role), C(tool), C(direction), C(address), C(port), C(peer),
      C(bytes), C(seconds) and C(bits_per_second); for a server also C(strangers), connections without the token.
    - Null without O(bandwidth).
  returned: success
  type: dict
  sample:
    role: client
    address: 192.0.2.20
    port: 5201
    tool: iperf3
    direction: upload
    peer: 192.0.2.20
    bytes: 588251136
    seconds: 5.004
    bits_per_second: 940449458
vantage:
  description: This host, with its C(hostname).
  returned: success or failure
  type: dict
  sample: {hostname: web01}
error:
  description: What is wrong with the first target that failed or the bandwidth test.
  returned: on failure
  type: dict
  sample:
    kind: timeout
    message: No client with the token came within 30 seconds (0 without).
    hint: "Run a task with role: client on another host at the same time, and see the firewall."
    item:
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.commands import Commands
from ..module_utils._core.module import run_module
from ..module_utils._network.performance.report import performance_info


def main():
    target = {"address": {"type": "str", "required": True}, "name": {"type": "str"}, "port": {"type": "int"}}
    bandwidth = {
        "role": {"type": "str", "choices": ["server", "client"], "required": True},
        "address": {"type": "str", "required": True},
        "port": {"type": "int", "default": 5201},
        "token": {"type": "str", "required": True, "no_log": True},
        "direction": {"type": "str", "choices": ["upload", "download"], "default": "upload"},
        "seconds": {"type": "float", "default": 5.0},
        "max_bytes": {"type": "int"},
        "wait": {"type": "float", "default": 30.0},
        "tool": {"type": "str", "choices": ["auto", "iperf3", "builtin"], "default": "auto"},
    }
    module = AnsibleModule(
        argument_spec={
            "targets": {"type": "list", "elements": "dict", "default": [], "options": target},
            "count": {"type": "int", "default": 20},
            "interval": {"type": "float", "default": 0.1},
            "timeout": {"type": "float", "default": 1.0},
            "size": {"type": "int", "default": 56},
            "ip_version": {"type": "str", "choices": ["any", "4", "6"], "default": "any"},
            "parallel": {"type": "int", "default": 500},
            "bandwidth": {"type": "dict", "options": bandwidth},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda this: performance_info(this.params, Commands(this.run_command)))


if __name__ == "__main__":
    main()
