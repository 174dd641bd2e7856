#!/usr/bin/python

# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: network_probe
short_description: Probe many targets from a host and name the layer that is at fault
version_added: 1.0.0
author: [scripts.toolkit contributors (@scripts-toolkit)]
description:
  - Probes hosts, services and networks by rules, all at once in one call, from the host that the task runs on.
  - The verdict is layered. The layers are V(route), V(dns), V(tcp), V(tls) and V(application). The first that does not
    hold is the cause, and what needs it counts as not reached. Where nothing comes back, the link, the neighbour and
    echo requests tell whether it is the way, a filter, or the size of packets.
  - The score of a target is the mean of its checks by their weights. V(ok) is 100, V(degraded) 70, V(failed) and
    V(not_reached) are 0. The scores are rounded down.
  - Patterns are checked before anything runs. A search that takes more than 0.1 seconds is given up; the check
    fails then.
extends_documentation_fragment:
  - scripts.toolkit.attributes.info
  - scripts.toolkit.attributes.bulk
options:
  targets:
    description: What is probed.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: A name that no other target has. By default O(targets[].address).
        type: str
      address:
        description:
          - An IPv4 or IPv6 address, a name, C(name:port), C([address]:port), or a URL with http or https. For the type
            V(network), a network such as V(192.0.2.0/24), of 4096 addresses at most.
          - Names with other letters than ASCII are encoded by IDNA 2003.
          - Names are looked up in C(/etc/hosts) and asked of the name servers in C(/etc/resolv.conf). Of several
            addresses, the first of four that takes connections is used. Those with a route come first, of these IPv6.
        type: str
        required: true
      type:
        description: What it is. Rules apply to types.
        type: str
        choices: [host, service, network]
        default: host
      port:
        description: The port of the service, where the address has none.
        type: int
      info:
        description: Whatever you want to find in the result again.
        type: dict
        default: {}
  rule_sets:
    description:
      - Rules that come with the collection, each of which has the name of its set.
      - V(ping_test), three echo requests to hosts and services.
      - V(dns_resolution), their names have an address.
      - V(http_service), services answer http, or https where the address is such a URL.
      - V(ssh_service), hosts and services greet as ssh does and show a host key.
      - V(latency_check), the mean of five echo requests is less than 100 ms, and fails from 500 ms on.
      - V(open_ports), the port of the target is open, or one of 22, 80 and 443.
      - V(network_discovery), at least one host of a network answers; C(facts.alive) of the check has them all.
    type: list
    elements: str
    choices: [ping_test, dns_resolution, http_service, ssh_service, latency_check, open_ports, network_discovery]
    default: []
  rules:
    description: Rules of your own.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: A name that no other rule has. By default O(rules[].type).
        type: str
      type:
        description:
          - What is done. V(icmp) sends echo requests, V(tcp) connects, V(udp) sends a packet, V(dns) asks for a record,
            V(tls) shakes hands and judges the certificate, V(http) and V(https) ask for a page, V(ssh) reads the banner
            and the host key, V(smtp) and V(imap) the greeting and what the server can do, V(ntp) asks for the time,
            V(query) sends a text and reads the answer, V(command) runs a program.
        type: str
        required: true
        choices: [icmp, dns, tcp, udp, tls, http, https, ssh, smtp, imap, ntp, query, command]
      applies_to:
        description: Types of targets that the rule applies to, by default all. Only V(icmp) applies to networks.
        type: list
        elements: str
        choices: [host, service, network]
      targets:
        description: Names of the targets that the rule applies to, whatever their type.
        type: list
        elements: str
        default: []
      timeout:
        description: Seconds for the check of a target. By default O(timeout).
        type: float
      weight:
        description: What the check counts in the score, 1 to 100.
        type: int
        default: 1
      remediation:
        description: What to do if the rule fails; it is handed through to the result.
        type: str
        default: ""
      success_pattern:
        description:
          - A regular expression that must be found in the first 16384 characters of what the far side says, the body of
            a page, a banner, the answers of a name server (a line each), or the output of a command. Of V(icmp) and
            V(tcp), it is the message of the check.
        type: str
      error_pattern:
        description: A regular expression that must not be found there.
        type: str
      warn_ms:
        description: Milliseconds from which the check is degraded.
        type: float
      fail_ms:
        description: Milliseconds from which it fails.
        type: float
      ports:
        description: The ports, of V(tcp) and V(udp) many. By default the port of the target, else the usual one.
        type: list
        elements: int
        default: []
      default_ports:
        description: Ports for targets without one.
        type: list
        elements: int
        default: []
      require:
        description: Whether all ports must be open, or one is enough.
        type: str
        choices: [all, any]
        default: all
      count:
        description: How many echo requests are sent to a host, 1 to 1000.
        type: int
        default: 1
      interval_ms:
        description: Milliseconds between them.
        type: int
        default: 100
      size:
        description: Bytes of data in each, 16 to 65000. Packets are never fragmented.
        type: int
        default: 32
      minimum_alive:
        description: How many hosts of a network must answer.
        type: int
        default: 1
      warn_loss:
        description: Percent of lost echo requests from which the check is degraded.
        type: float
        default: 1.0
      fail_loss:
        description: Percent of lost echo requests from which it fails.
        type: float
        default: 50.0
      warn_days:
        description: The check is degraded if the certificate ends in less days.
        type: int
        default: 21
      fail_days:
        description: It fails if the certificate ends in less days.
        type: int
        default: 0
      warn_offset_ms:
        description: Milliseconds from which on a wrong clock is degraded.
        type: float
        default: 100.0
      fail_offset_ms:
        description: Milliseconds from which on a wrong clock fails.
        type: float
        default: 1000.0
      record:
        description: The type of record. By default the addresses of both kinds.
        type: str
        choices: [A, AAAA, PTR, MX, TXT, SRV]
      query:
        description: The name or, for V(PTR), the address that is asked for. By default the target's.
        type: str
      server:
        description:
          - The name server that is asked, as O(targets[].address); V({TARGET}) is the target itself. By default those
            of the host.
        type: str
      expect:
        description: The answers, all of them, in any order. V(MX) is written as V(10 mail.example.com).
        type: list
        elements: str
        default: []
      dnssec:
        description: The server must mark its answer as verified by DNSSEC (the AD flag).
        type: bool
        default: false
      method:
        description: The method of the request.
        type: str
        choices: [GET, HEAD]
        default: GET
      path:
        description: The path of the URL. By default the path of the target's URL, else V(/).
        type: str
      status:
        description: The status codes that are right. By default 200 to 399.
        type: list
        elements: int
        default: []
      header_patterns:
        description: Regular expressions that must be found in headers, by the names of the headers.
        type: dict
        default: {}
      max_redirects:
        description: How many redirects are followed. With V(0), the first answer is judged.
        type: int
        default: 0
      verify:
        description: Whether the certificate's chain, name and dates must be right.
        type: bool
        default: true
      ca_path:
        description: A file on the host with certificates in PEM in which the chain must end. By default the system's.
        type: path
      server_name:
        description: The name that the certificate must be for. By default the target's.
        type: str
      min_protocol:
        description: The oldest version of TLS that is spoken.
        type: str
        choices: [TLSv1, TLSv1.1, TLSv1.2, TLSv1.3]
        default: TLSv1.2
      fingerprint:
        description:
          - The SHA-256 of the certificate in hexadecimal digits; for V(ssh), that of the host key as C(ssh-keygen -l)
            shows it, V(SHA256:...).
        type: str
      key_type:
        description: The type of the host key that is asked for, such as V(ssh-ed25519).
        type: str
      transport:
        description: How V(query) is sent.
        type: str
        choices: [tcp, udp]
        default: tcp
      send:
        description: The text that V(query) and V(udp) send. Without it, a silent UDP port counts as open.
        type: str
        default: ""
      argv:
        description:
          - The program of V(command) and its arguments, without a shell. V({TARGET}) stands for the address or name of
            the target, or its URL.
        type: list
        elements: str
        default: []
  timeout:
    description: Seconds for each check, of rules without one of their own, and for the look-up of a name.
    type: float
    default: 3.0
  concurrency:
    description: How many checks run at once. The limit of open files is raised where that is allowed.
    type: int
    default: 512
  minimum_score:
    description: Fail if the score of any target is less. Without it, only RV(outcomes) tell.
    type: int
notes:
  - Echo requests need root, or a group of the user in the kernel parameter C(net.ipv4.ping_group_range).
seealso:
  - name: Network probes
    description: Layers, scores, rules and what was measured.
    link: https://github.com/scripts-toolkit/scripts.toolkit/blob/main/docs/network-probe.md
"""

EXAMPLES = r"""
- name: Look at the network from each host
  scripts.toolkit.network_probe:
    rule_sets: [ping_test, dns_resolution]
    targets:
      - {address: 127.0.0.1}
      - {address: localhost, info: {owner: operations}}
  register: network

- name: Say what is wrong
  ansible.builtin.debug:
    msg: "{{ item.item }}: {{ item.fault.layer }}, {{ item.fault.message }} {{ item.fault.remediation }}"
  loop: "{{ network.outcomes | selectattr('fault') }}"
  loop_control:
    label: "{{ item.item }}"

- name: Fail unless the name server and the shop are well
  scripts.toolkit.network_probe:
    minimum_score: 90
    targets:
      - {name: shop, address: "https://shop.example.com/health", type: service}
      - {name: resolver, address: 192.0.2.53}
    rules:
      - name: shop answers
        type: https
        targets: [shop]
        success_pattern: '"status": *"up"'
        warn_ms: 500
        weight: 3
        remediation: Restart the unit shop.service.
      - name: shop's address is right
        type: dns
        targets: [resolver]
        server: "{TARGET}"
        query: shop.example.com
        record: A
        expect: [192.0.2.80]
"""

RETURN = r"""
outcomes:
  description: What was found of each target, in the order of O(targets).
  returned: when anything was probed
  type: list
  elements: dict
  contains:
    item:
      description: The name of the target.
      type: str
    changed:
      description: Always false.
      type: bool
    address:
      description: The address as given.
      type: str
    type:
      description: The type as given.
      type: str
    info:
      description: As given.
      type: dict
    addresses:
      description: The addresses that the name has, the one that was used first.
      type: list
      elements: str
    score:
      description: From 0 to 100.
      type: int
    grade:
      description: V(EXCELLENT) from 90, V(GOOD) from 75, V(FAIR) from 60, V(CRITICAL) below.
      type: str
    fault:
      description:
        - The failed check of the lowest layer, with C(layer), C(rule), C(kind), C(message), C(remediation); or null.
      type: dict
    layers:
      description: For each layer V(ok), V(failed), V(not_reached) or V(not_probed).
      type: dict
    checks:
      description:
        - What each rule found. C(layer) is the one that the rule proves, or if it failed the one that does not hold.
          C(kind) is that of an error. C(facts) differ by type.
      type: list
      elements: dict
  sample:
    - item: web01
      changed: false
      address: www.example.com
      type: service
      info: {}
      addresses: [192.0.2.5]
      score: 0
      grade: CRITICAL
      fault:
        layer: tcp
        rule: http_service
        kind: unavailable
        message: Port 80 refused the connection.
        remediation: Check that the web server runs and look at its error log.
      layers: {route: ok, dns: ok, tcp: failed, tls: not_probed, application: not_reached}
      checks:
        - rule: http_service
          type: http
          layer: tcp
          status: failed
          weight: 1
          score: 0
          kind: unavailable
          message: Port 80 refused the connection.
          latency_ms:
          facts: {}
          remediation: Check that the web server runs and look at its error log.
score:
  description: The mean of the scores of the targets.
  returned: when anything was probed
  type: int
  sample: 93
grade:
  description: The word for it.
  returned: when anything was probed
  type: str
  sample: EXCELLENT
counts:
  description: How many targets there are, and how many of them are C(ok), C(degraded) and C(failed).
  returned: when anything was probed
  type: dict
  sample: {targets: 10, ok: 9, degraded: 0, failed: 1}
vantage:
  description: From where it was probed, C(hostname) and C(kernel).
  returned: when anything was probed
  type: dict
  sample: {hostname: web01, kernel: 6.1.0-28-amd64}
started:
  description: When it began, in UTC.
  returned: when anything was probed
  type: str
  sample: "2026-12-01T17:00:00.000Z"
wall_seconds:
  description: How long it took.
  returned: when anything was probed
  type: float
  sample: 0.113
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.module import run_module
from ..module_utils._network.probe.engine import probe
from ..module_utils._network.targets.rule_sets import RULE_SETS
from ..module_utils._network.targets.rules import rules_spec
from ..module_utils._network.targets.targets import targets_spec


def main():
    module = AnsibleModule(
        argument_spec={
            "targets": targets_spec(),
            "rule_sets": {"type": "list", "elements": "str", "choices": list(RULE_SETS), "default": []},
            "rules": rules_spec(),
            "timeout": {"type": "float", "default": 3.0},
            "concurrency": {"type": "int", "default": 512},
            "minimum_score": {"type": "int"},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda module: probe(module.params))


if __name__ == "__main__":
    main()
