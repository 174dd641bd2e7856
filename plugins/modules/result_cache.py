#!/usr/bin/python

# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: result_cache
short_description: Remove cached results of tasks
version_added: 1.0.0
author: [scripts.toolkit contributors (@scripts-toolkit)]
description:
  - Removes results from the cache in which tasks keep them from run to run, those that match patterns, the expired
    ones, or all. The tasks they are of are done anew next time.
  - Runs on the controller only and makes no remote call. Since all hosts have one cache, C(run_once) is enough.
  - A result that is being computed while others are invalidated is not kept, since it may be one of them.
  - What is removed is also gone from the bytes of the files.
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.action
  - scripts.toolkit.attributes.bulk
attributes:
  bulk:
    description: Takes a list and does all of it in one call, reporting per item in RV(outcomes).
    details: No remote call at all.
  platform:
    platforms: all, since nothing runs on the host
options:
  invalidate:
    description:
      - Results that must go. Of each list of patterns that an entry gives, one must match; an empty list matches
        nothing. A pattern is one of the shell, as in C(web*) or C(db[0-9]); upper and lower case are different.
      - What means all results, such as C(*) alone, is refused. That takes O(all).
    type: list
    elements: dict
    suboptions:
      module:
        description: The full names of modules, such as V(ansible.builtin.setup).
        type: list
        elements: str
      host:
        description: The hosts of the tasks, by their names in the inventory.
        type: list
        elements: str
      name:
        description: The names of the tasks.
        type: list
        elements: str
      id:
        description: The ids of results that M(scripts.toolkit.result_cache_info) shows.
        type: list
        elements: str
  expired:
    description:
      - Remove the results that are older than their time to live.
      - That is also done in passing whenever a result is kept.
    type: bool
    default: false
  all:
    description: Remove all results. Excludes O(invalidate).
    type: bool
    default: false
  directory:
    description:
      - The directory of the cache.
      - By default C(/var/lib/scripts-toolkit/cache) for root, for other users C(scripts-toolkit/cache) in
        C($XDG_STATE_HOME), which is C(~/.local/state) where it is not set.
    type: path
seealso:
  - module: scripts.toolkit.guarded_task
  - module: scripts.toolkit.result_cache_info
"""

EXAMPLES = r"""
- name: Forget what was cached of hosts that are made anew
  scripts.toolkit.result_cache:
    invalidate:
      - host: ["web*"]
      - module: [ansible.builtin.setup, ansible.builtin.package_facts]
        host: [db01]
  run_once: true

- name: Clean up what has expired
  scripts.toolkit.result_cache:
    expired: true
  run_once: true

- name: Begin with an empty cache
  scripts.toolkit.result_cache:
    all: true
  run_once: true
"""

RETURN = r"""
outcomes:
  description: What was done, by entry of O(invalidate), and as C(expired) or C(all). Each result counts once.
  returned: success
  type: list
  elements: dict
  contains:
    item:
      description: The patterns, C(expired), or C(all).
      type: str
    changed:
      description: Whether any result was (in check mode, would be) removed.
      type: bool
    removed:
      description: How many.
      type: int
    size:
      description: Their bytes.
      type: int
  sample:
    - {item: "host=web*", changed: true, removed: 12, size: 403211}
error:
  description: Why it failed, with C(kind), C(message), C(hint) and C(item).
  returned: on failure
  type: dict
  sample:
    kind: unsafe
    message: "invalidate: host=* means all results."
    hint: "Set all: true instead if they must all go."
    item:
"""
