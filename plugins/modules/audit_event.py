#!/usr/bin/python

# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_event
short_description: Record an event of your own in the audit trail
version_added: 1.0.0
author: [scripts.toolkit contributors (@scripts-toolkit)]
description:
  - Adds an event to the trail of this run, which the callback P(scripts.toolkit.audit#callback) writes. So the trail
    also says why something was done, such as the number of a change request, or that a person agreed.
  - Runs on the controller only and makes no remote call. The event has the host, task and play from which it came.
  - What is known or spelled like a secret is replaced as everywhere in the trail.
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.action
attributes:
  check_mode:
    support: full
    details: The event is recorded in check mode, too; the trail says that the run was one.
  diff_mode:
    support: N/A
    details: It changes nothing.
  platform:
    platforms: all, since nothing runs on the host
options:
  event_type:
    description:
      - The type of the event, from 3 to 64 capital letters, digits and underscores.
      - It can't be one of the trail's own, such as V(TASK_RESULT).
    type: str
    required: true
  details:
    description: What is recorded with it.
    type: dict
    default: {}
  require:
    description:
      - Fail where this run is not recorded.
      - What happens if the event can't be written later, the callback's option
        O(scripts.toolkit.audit#callback:on_error) says.
    type: bool
    default: false
seealso:
  - plugin: scripts.toolkit.audit
    plugin_type: callback
"""

EXAMPLES = r"""
- name: Every deployment names the change that it belongs to
  scripts.toolkit.audit_event:
    event_type: DEPLOYMENT
    details:
      change: CHG-4711
      version: "2.4.1"
    require: true
  run_once: true
"""

RETURN = r"""
recorded:
  description: Whether the callback records this run.
  returned: success
  type: bool
  sample: true
run_id:
  description: The id of the run in the trail, null where it is not recorded.
  returned: success
  type: str
  sample: 01a1fb79-7f1a-70ea-9da0-95b13eb9beb9
audit_events:
  description: The event as the callback gets it.
  returned: where the run is recorded
  type: list
  elements: dict
  contains:
    event_type:
      description: Its type.
      type: str
    details:
      description: Its details.
      type: dict
  sample:
    - event_type: DEPLOYMENT
      details: {change: CHG-4711}
error:
  description: Why it failed, with C(kind), C(message), C(hint) and C(item).
  returned: on failure
  type: dict
  sample:
    kind: dependency
    message: "This run is not recorded: the callback scripts.toolkit.audit is not active."
    hint: "Enable it: callbacks_enabled = scripts.toolkit.audit."
    item:
"""
