#!/usr/bin/python

# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: role_plans
short_description: Make the plans of several roles in one task
version_added: 1.0.0
author: [scripts.toolkit contributors (@scripts-toolkit)]
description:
  - Does what C(import_role) with C(tasks_from=plan) does for each of the roles, in one task instead of two or three for
    each role. It validates the arguments of the role against its C(meta/argument_specs.yml) (entry point C(plan)), and
    evaluates its C(tasks/plan.yml) with its defaults and variables.
  - The C(tasks/plan.yml) of the roles may consist of M(ansible.builtin.assert) and M(ansible.builtin.set_fact) tasks
    with C(vars), without C(when) and loops. All roles of this collection do.
  - Runs on the controller only and makes no remote call. No fact is set; register the result and give its RV(plans) to
    the role C(scripts.toolkit.apply).
  - Plans may have passwords in them, so the result is never shown. A failure is.
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.action
attributes:
  diff_mode:
    support: N/A
    details: It changes nothing.
  platform:
    platforms: all, since nothing runs on the host
options:
  roles:
    description: The roles, in the order of their plans.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the role.
        type: str
        required: true
      vars:
        description:
          - Variables for this role only. They take precedence over all others, and they are evaluated before the
            defaults of the role are known, so V({{ firewall_rules | default(mine\) }}) is what the user set, or else
            yours.
        type: dict
        default: {}
      when:
        description: Whether the role is wanted. If V(false), it is left out.
        type: bool
        default: true
  plans:
    description: Plans of your own, which follow those of the roles.
    type: list
    elements: dict
    default: []
seealso:
  - module: ansible.builtin.import_role
"""

EXAMPLES = r"""
- name: Plan nginx and the firewall
  scripts.toolkit.role_plans:
    roles:
      - name: scripts.toolkit.nginx
      - name: scripts.toolkit.firewall
        vars:
          firewall_rules: "80,443,22"
  register: planned

- name: Apply both
  ansible.builtin.import_role:
    name: scripts.toolkit.apply
    public: false
  vars:
    apply_plans: "{{ planned.plans }}"
"""

RETURN = r"""
plans:
  description: The plans of the roles that are wanted, in their order, and your own.
  returned: success
  type: list
  elements: dict
  sample:
    - role: firewall
      packages: [nftables]
      firewall: {rules: "80,443,22", policy: drop, confirm_timeout: 30}
facts:
  description: All that the C(set_fact) tasks of the roles set.
  returned: success
  type: dict
  sample:
    firewall_open_ports: [22, 80, 443]
error:
  description: Why it failed, with C(kind), C(message), C(hint) and C(item), the role.
  returned: on failure
  type: dict
  sample:
    kind: validation
    message: "scripts.toolkit.nginx: Validation of arguments failed:\nmissing required arguments: name found in sites"
    hint:
    item: scripts.toolkit.nginx
"""
