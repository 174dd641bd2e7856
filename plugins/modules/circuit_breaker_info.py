#!/usr/bin/python

# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: circuit_breaker_info
short_description: Look at circuit breakers
version_added: 1.0.0
author: [scripts.toolkit contributors (@scripts-toolkit)]
description:
  - Tells the state of circuit breakers, and what was counted in them.
  - Runs on the controller only and makes no remote call, whatever the host of the task. One host is enough, so use
    C(run_once).
extends_documentation_fragment:
  - scripts.toolkit.attributes.info
  - scripts.toolkit.attributes.action
  - scripts.toolkit.circuit
attributes:
  platform:
    platforms: all, since nothing runs on the host
options:
  names:
    description: The circuits to look at; all that are known without a name.
    type: list
    elements: str
    default: []
seealso:
  - module: scripts.toolkit.circuit_breaker
"""

EXAMPLES = r"""
- name: Look at all circuits
  scripts.toolkit.circuit_breaker_info:
  register: breakers
  run_once: true

- name: Say which do not let calls through
  ansible.builtin.debug:
    msg: "{{ breakers.circuits | selectattr('permits', 'eq', 0) | map(attribute='name') }}"
  run_once: true
"""

RETURN = r"""
circuits:
  description: The circuits, by name. One that has never failed has nothing recorded, and is closed.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
    state:
      description: C(closed), C(open), C(half_open), C(forced_open) or C(disabled).
      type: str
    reason:
      description: Why it is in this state.
      type: str
    since:
      description: When it came into this state, UTC; null where nobody knows.
      type: str
    open_until:
      description: When a probe is let through, UTC; null where it is not open.
      type: str
    failures:
      description: How many failures were counted within the period.
      type: int
    calls:
      description: How many calls were counted within the period; 0 for a circuit that counts failures only.
      type: int
    successes:
      description: How many probes have succeeded since it is half-open.
      type: int
    probes:
      description: How many probes are on their way.
      type: int
    permits:
      description: How many calls would be let through now; null for any number.
      type: int
    policy:
      description: The settings by which it was judged the last time something was recorded.
      type: dict
  sample:
    - name: payments.example.com
      state: open
      reason: 5 failures within 60 seconds
      since: "2026-12-01T08:15:30.121Z"
      open_until: "2026-12-01T08:16:30.121Z"
      failures: 0
      calls: 0
      successes: 0
      probes: 0
      permits: 0
      policy:
        threshold: 5
        period: 60.0
        open_for: 60.0
        half_open_calls: 1
        success_threshold: 1
        failure_ratio:
        minimum_calls: 10
        probe_timeout: 300.0
error:
  description: Why it failed, with C(kind), C(message), C(hint) and C(item).
  returned: on failure
  type: dict
  sample:
    kind: dependency
    message: Circuits in Redis need the Python library redis on the controller.
    hint: "pip install 'scripts-toolkit[redis]', or the Debian package python3-redis."
    item:
"""
