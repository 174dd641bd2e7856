#!/usr/bin/python

# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: network_report
short_description: Report on the network as all hosts see it, and remember how it was
version_added: 1.0.0
author: [scripts.toolkit contributors (@scripts-toolkit)]
description:
  - Takes what M(scripts.toolkit.network_probe) found on each host and says what is wrong, and from where. A target that
    no host reaches is told once, and so is a host that reaches nothing.
  - Writes the report as a page with a heat map (HTML), as JUnit XML for CI servers, as JSON, and as metrics for
    Prometheus. Keeps the scores, so that the report has a trend and a failure rate.
  - Runs on the controller only and makes no remote call. The role C(scripts.toolkit.network_diagnose) uses it.
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.action
attributes:
  check_mode:
    details: Reports on the results given, but writes no file and keeps nothing.
  diff_mode:
    support: N/A
    details: It changes nothing that Ansible manages.
  idempotent:
    details: A report is a record of its run, so RV(ignore:changed) is always false.
  platform:
    platforms: all, since nothing runs on the host
options:
  results:
    description:
      - What M(scripts.toolkit.network_probe) returned, by the name of the host. A host that has nothing, since it was
        not reached, is reported as missing and counts with a score of 0.
    type: dict
    required: true
  directory:
    description:
      - A directory on the controller for the reports, made if it is not there. Reports have the mode 0600. Without it,
        the result alone has the report.
    type: path
  formats:
    description: Which reports are written, as C(network.html), C(network.json) and C(network.xml).
    type: list
    elements: str
    choices: [html, json, junit]
    default: [html, json, junit]
  metrics_path:
    description:
      - A file on the controller for metrics in Prometheus' text format, with the mode 0644. Its directory must exist.
    type: path
  history:
    description: Whether scores are kept.
    type: bool
    default: true
  history_path:
    description:
      - The SQLite file with the scores on the controller. By default C(network/history.sqlite) in
        C(/var/lib/scripts-toolkit), or in C(~/.local/state/scripts-toolkit) for users other than root.
    type: path
  keep_days:
    description: How many days scores are kept.
    type: int
    default: 90
  keep_runs:
    description: Of how many runs scores are kept.
    type: int
    default: 1000
  last:
    description: How many of the last scores are told, and from which the trend is seen.
    type: int
    default: 10
  minimum_score:
    description: Fails if the score of the whole is lower; everything is written before.
    type: int
    default: 0
seealso:
  - module: scripts.toolkit.network_probe
"""

EXAMPLES = r"""
- name: Probe the servers of the site from every host
  scripts.toolkit.network_probe:
    targets:
      - name: site
        address: https://www.example.com
        type: service
    rule_sets: [ping_test, dns_resolution]
  register: probed

- name: Report on all hosts at once
  scripts.toolkit.network_report:
    results: >-
      {{ dict(ansible_play_hosts_all | zip(ansible_play_hosts_all | map('extract', hostvars)
                                           | map(attribute='probed', default=none))) }}
    directory: /var/www/network
    metrics_path: /var/lib/prometheus/node-exporter/network.prom
    minimum_score: 75
  run_once: true
"""

RETURN = r"""
score:
  description: The mean of what all hosts found of all their targets, rounded down; missing hosts count as 0.
  returned: always
  type: int
  sample: 83
grade:
  description: V(EXCELLENT) from 90, V(GOOD) from 75, V(FAIR) from 60, V(CRITICAL) below.
  returned: always
  type: str
  sample: GOOD
counts:
  description: Numbers of hosts with a result and without, and of pairs of host and target, well and failed.
  returned: always
  type: dict
  sample: {hosts: 3, missing: 0, pairs: 9, ok: 6, failed: 3}
missing:
  description: Why a host gave no result, by its name.
  returned: always
  type: dict
  sample: {}
causes:
  description: What is wrong, what explains most first.
  returned: always
  type: list
  elements: dict
  contains:
    kind:
      description: V(vantage) for a host that reaches nothing, V(target), or V(path) between the two.
      type: str
    where:
      description: The host or target, or both.
      type: str
    layers:
      description: The layers at fault, the most frequent first.
      type: list
      elements: str
    summary:
      description: One sentence.
      type: str
    message:
      description: What was found first.
      type: str
    remediation:
      description: What the rule says to do.
      type: str
    pairs:
      description: The hosts and targets that it explains.
      type: list
      elements: dict
  sample:
    - kind: target
      where: db1
      layers: [tcp]
      summary: "db1: tcp at fault, seen from 3 hosts"
      message: 192.0.2.7 refuses connections to port 3306
      remediation: Start the service.
      pairs: [{vantage: web01, target: db1}, {vantage: web02, target: db1}, {vantage: web03, target: db1}]
pairs:
  description:
    - Each target as each host sees it, with C(vantage), C(target), C(score), C(grade), C(fault), C(layers),
      C(latency_ms) and C(history).
  returned: always
  type: list
  elements: dict
  sample:
    - vantage: web01
      target: db1
      address: db1.example.com
      type: host
      score: 40
      grade: CRITICAL
      latency_ms: 0.21
      history: {scores: [100, 100, 40], rounds: 3, failures: 1, failure_percent: 33.3, trend: falling}
lines:
  description: The report for a terminal.
  returned: always
  type: list
  elements: str
  sample: ["Score 83 GOOD: 9 targets seen from 3 hosts, 3 failed"]
written:
  description: The files that were written.
  returned: always
  type: list
  elements: str
  sample: [/var/www/network/network.html]
error:
  description: Why it failed, with C(kind), C(message), C(hint) and C(item).
  returned: on failure
  type: dict
  sample:
    kind: unavailable
    message: The score 40 is below the wanted 75.
    hint: "db1: tcp at fault, seen from 3 hosts"
    item:
"""
