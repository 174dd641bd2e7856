#!/usr/bin/python

# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: circuit_breaker
short_description: Open, close, disable and remove circuit breakers
version_added: 1.0.0
author: [scripts.toolkit contributors (@scripts-toolkit)]
description:
  - A circuit breaker keeps tasks from calling what has failed again and again. Its state outlives the run. Tasks use
    and change circuits by themselves; this module is for people who know better, such as before maintenance.
  - Runs on the controller only and makes no remote call, whatever the host of the task. One host is enough, so use
    C(run_once).
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.action
  - scripts.toolkit.attributes.bulk
  - scripts.toolkit.circuit
attributes:
  platform:
    platforms: all, since nothing runs on the host
options:
  circuits:
    description: The circuits to set. Each is set on its own; one that fails does not keep the others from being set.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name, from 1 to 200 printable characters.
        type: str
        required: true
      state:
        description:
          - V(closed) lets calls through and forgets the failures that were counted, whatever the state was.
          - V(forced_open) lets nothing through until it gets another state here.
          - V(disabled) lets everything through and counts nothing until it gets another state here.
          - V(absent) forgets the circuit. It is closed when it is used again.
        type: str
        required: true
        choices: [absent, closed, forced_open, disabled]
      reason:
        description: Why, for those who meet the circuit. Without one, a reason that is there stays.
        type: str
seealso:
  - module: scripts.toolkit.guarded_task
  - module: scripts.toolkit.circuit_breaker_info
"""

EXAMPLES = r"""
- name: Nobody calls the payment service while it is being upgraded
  scripts.toolkit.circuit_breaker:
    circuits:
      - name: payments.example.com
        state: forced_open
        reason: upgrade, CHG-4711
      - name: invoices.example.com
        state: forced_open
        reason: upgrade, CHG-4711
  run_once: true

- name: It is back, so call it again at once
  scripts.toolkit.circuit_breaker:
    circuits:
      - name: payments.example.com
        state: closed
      - name: invoices.example.com
        state: closed
  run_once: true

- name: Forget a service that is gone, on all controllers
  scripts.toolkit.circuit_breaker:
    backend: redis://redis.example.com
    circuits:
      - name: fax.example.com
        state: absent
  run_once: true
"""

RETURN = r"""
outcomes:
  description: What was done to each circuit, in the order of O(circuits).
  returned: success or failure
  type: list
  elements: dict
  contains:
    item:
      description: The name of the circuit.
      type: str
    changed:
      description: Whether it was (in check mode, would be) changed.
      type: bool
    before:
      description: What was known of it, with C(state), C(reason), C(failures) and C(calls); null if it was absent.
      type: dict
    after:
      description: What is known of it now; null if it is absent.
      type: dict
    transitions:
      description: The changes of its state, with C(circuit), C(from), C(to) and C(reason).
      type: list
      elements: dict
    failed:
      description: Whether it failed; C(error) says why.
      type: bool
  sample:
    - item: payments.example.com
      changed: true
      before: {state: closed, reason: "", failures: 2, calls: 0}
      after: {state: forced_open, reason: "upgrade, CHG-4711", failures: 0, calls: 0}
      transitions:
        - {circuit: payments.example.com, from: closed, to: forced_open, reason: "upgrade, CHG-4711"}
error:
  description: Why it failed, with C(kind), C(message), C(hint) and C(item).
  returned: on failure
  type: dict
  sample:
    kind: unavailable
    message: "redis://redis.example.com can't be asked: Error 111 connecting to redis.example.com:6379."
    hint: "Look at the server, or run without circuits meanwhile by on_backend_error: bypass."
    item: payments.example.com
"""
