#!/usr/bin/python

# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_verify_info
short_description: Verify the audit trail
version_added: 1.0.0
author: [scripts.toolkit contributors (@scripts-toolkit)]
description:
  - Verifies the log of the audit trail. Every entry, segment, tile and signature, and that the log continues the
    checkpoints that are known from before or from witnesses.
  - It reads the trail of the host that it runs on. For the controller's own, delegate it to C(localhost).
  - Without a checkpoint from elsewhere only accidental change is found, since whoever owns the log owns its key.
extends_documentation_fragment:
  - scripts.toolkit.attributes.info
  - scripts.toolkit.audit
requirements:
  - The Python library cryptography on that host.
options:
  checkpoints:
    description:
      - Files or directories on that host with checkpoints of witnesses, or with those that you kept. The log must
        continue each of them.
    type: list
    elements: path
    default: []
  memory:
    description:
      - The file in which C(toolkit audit verify) remembers checkpoints. The log must continue them; nothing is added.
    type: path
  trusted_keys:
    description: Verifier keys that are known from elsewhere. The log's keys must go back to them.
    type: list
    elements: str
    default: []
  parse:
    description: Also look whether every line is a record.
    type: bool
    default: true
  fail:
    description: Fail where something is wrong. Otherwise only RV(ok) says so.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Verify the trail of this controller against the checkpoints on another machine's share
  scripts.toolkit.audit_verify_info:
    checkpoints: [/mnt/witness/audit]
  delegate_to: localhost
  run_once: true

- name: Verify the trails of all controllers, and go on
  scripts.toolkit.audit_verify_info:
    fail: false
  register: verified
"""

RETURN = r"""
ok:
  description: Whether nothing is wrong.
  returned: success or failure
  type: bool
size:
  description: How many entries the newest checkpoint covers.
  returned: success or failure
  type: int
root:
  description: The root hash of the log, in hexadecimal digits.
  returned: success or failure
  type: str
proves:
  description: What this verification rules out, in one sentence.
  returned: success or failure
  type: str
findings:
  description: What is wrong.
  returned: success or failure
  type: list
  elements: dict
  contains:
    kind:
      description: C(entry), C(segment), C(tile), C(checkpoint), C(key), C(erased), C(remembered) or C(witness).
      type: str
      returned: always
    where:
      description: Which one.
      type: str
      returned: always
    message:
      description: What is wrong with it.
      type: str
      returned: always
    index:
      description: The first entry concerned, where there is one.
      type: int
      returned: always
verification:
  description: All that the verification tells, such as C(origin), C(minimum), C(erased), C(signed_by), C(notes).
  returned: success or failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.ask_verify import verification
from ansible_collections.scripts.toolkit.plugins.module_utils._core.module import run_module


def main():
    module = AnsibleModule(
        argument_spec={
            "log_directory": {"type": "path"},
            "checkpoints": {"type": "list", "elements": "path", "default": []},
            "memory": {"type": "path"},
            "trusted_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "parse": {"type": "bool", "default": True},
            "fail": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda module: verification(module.params))


if __name__ == "__main__":
    main()
