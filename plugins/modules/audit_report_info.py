#!/usr/bin/python

# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_report_info
short_description: Report on a period of the audit trail
version_added: 1.0.0
author: [scripts.toolkit contributors (@scripts-toolkit)]
description:
  - Counts what the audit trail of a period holds. Events by type, runs and their success rate, the most run scripts,
    failures, sensitive access, and changed files.
  - It reads the trail of the host that it runs on. For the controller's own, delegate it to C(localhost).
extends_documentation_fragment:
  - scripts.toolkit.attributes.info
  - scripts.toolkit.audit
  - scripts.toolkit.audit.index
  - scripts.toolkit.audit.filters
options:
  top:
    description: The length of the lists.
    type: int
    default: 10
  text_format:
    description: Also return the report as text, for a mail or a page.
    type: str
    choices: [none, terminal, markdown]
    default: none
"""

EXAMPLES = r"""
- name: Report on the last week
  scripts.toolkit.audit_report_info:
    since: 7d
    text_format: markdown
  delegate_to: localhost
  run_once: true
  register: weekly

- name: Keep the report
  ansible.builtin.copy:
    content: "{{ weekly.text }}"
    dest: /srv/reports/audit.md
    mode: "0640"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
report:
  description: The report.
  returned: success
  type: dict
  contains:
    period:
      description: The range that was asked for (C(since), C(until)) and the times of its C(first) and C(last) entry.
      type: dict
      returned: always
    entries:
      description: How many entries there are.
      type: int
      returned: always
    events:
      description: Entries by type of event.
      type: dict
      returned: always
    runs:
      description: Runs C(started) and C(ended), by C(statuses), the C(success_rate) from 0 to 1, and their C(seconds).
      type: dict
      returned: always
    results:
      description: Task results by status.
      type: dict
      returned: always
    scripts:
      description: The scripts run most, with C(runs), C(success), C(success_rate), C(last).
      type: list
      elements: dict
      returned: always
    users:
      description: The users with most runs.
      type: list
      elements: dict
      returned: always
    failures:
      description: Failed and unreachable task results, their C(total), by C(hosts), and the C(newest).
      type: dict
      returned: always
    sensitive:
      description: Sensitive access, its C(total), by C(kinds) and C(users), and the C(newest).
      type: dict
      returned: always
    files:
      description: Changed files, their C(total), by C(operations), C(paths) and C(hosts), and the C(newest).
      type: dict
      returned: always
    changed:
      description: C(hosts) with most changes.
      type: dict
      returned: always
text:
  description: The report as text. What was recorded is escaped in it.
  returned: when O(text_format) is not V(none)
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.index.ask import INDEX_SPEC, report
from ansible_collections.scripts.toolkit.plugins.module_utils._core.module import run_module


def main():
    module = AnsibleModule(
        argument_spec={
            **INDEX_SPEC,
            "top": {"type": "int", "default": 10},
            "text_format": {"type": "str", "choices": ["none", "terminal", "markdown"], "default": "none"},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda module: report(module.params, module.warn))


if __name__ == "__main__":
    main()
