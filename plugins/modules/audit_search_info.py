#!/usr/bin/python

# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_search_info
short_description: Search the audit trail
version_added: 1.0.0
author: [scripts.toolkit contributors (@scripts-toolkit)]
description:
  - Finds entries of the audit trail through its index. Several filters must all hold, of the values of one filter any.
  - It reads the trail of the host that it runs on. For the controller's own, delegate it to C(localhost).
extends_documentation_fragment:
  - scripts.toolkit.attributes.info
  - scripts.toolkit.audit
  - scripts.toolkit.audit.index
  - scripts.toolkit.audit.filters
requirements:
  - For O(where), the Python library jmespath on that host.
options:
  text:
    description:
      - Words that must occur. C("a phrase") in double quotes, C(begin*) for words that begin so, C(-word) for entries
        without it.
    type: str
  where:
    description: A JMESPath expression. Only entries for whose details it holds are returned.
    type: str
  limit:
    description: How many entries are returned at most.
    type: int
    default: 100
  cursor:
    description: Where to go on, which is RV(cursor) of the page before.
    type: str
  order:
    description: Which entries come first.
    type: str
    choices: [newest, oldest]
    default: newest
"""

EXAMPLES = r"""
- name: Find what failed on the web servers since yesterday
  scripts.toolkit.audit_search_info:
    event: [TASK_RESULT]
    status: [failed, unreachable]
    host: ["web*"]
    since: yesterday
  delegate_to: localhost
  run_once: true
  register: failures

- name: Make sure that nobody touched the configuration of ssh today
  scripts.toolkit.audit_search_info:
    event: [FILE_MODIFICATION]
    path: [/etc/ssh/]
    since: today
  delegate_to: localhost
  run_once: true
  register: touched
  failed_when: touched.entries | length > 0
"""

RETURN = r"""
entries:
  description: The entries found, as they were recorded.
  returned: success
  type: list
  elements: dict
  contains:
    index:
      description: The position in the log; none while the entry is in the journal of a living run only.
      type: int
      returned: always
    timestamp:
      description: When it was recorded (UTC).
      type: str
      returned: always
    event_type:
      description: The type of the event.
      type: str
      returned: always
    run_id:
      description: The run.
      type: str
      returned: always
    details:
      description: What belongs to the event.
      type: dict
      returned: always
cursor:
  description: What O(cursor) takes to go on; none when there is no more.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.index.ask import INDEX_SPEC, search
from ansible_collections.scripts.toolkit.plugins.module_utils._core.module import run_module


def main():
    module = AnsibleModule(
        argument_spec={
            **INDEX_SPEC,
            "text": {"type": "str"},
            "where": {"type": "str"},
            "limit": {"type": "int", "default": 100},
            "cursor": {"type": "str"},
            "order": {"type": "str", "choices": ["newest", "oldest"], "default": "newest"},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda module: search(module.params, module.warn))


if __name__ == "__main__":
    main()
