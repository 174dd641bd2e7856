#!/usr/bin/python

# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: result_cache_info
short_description: Tell what is in the cache of task results
version_added: 1.0.0
author: [scripts.toolkit contributors (@scripts-toolkit)]
description:
  - Lists the results that tasks keep from run to run, with their age, size, and how often they were used, and sums them
    up.
  - Runs on the controller only and makes no remote call. Since all hosts have one cache, C(run_once) is enough.
extends_documentation_fragment:
  - scripts.toolkit.attributes.info
  - scripts.toolkit.attributes.action
attributes:
  platform:
    platforms: all, since nothing runs on the host
options:
  module:
    description: Only results of these modules; patterns of the shell for their full names, one of which must match.
    type: list
    elements: str
    default: []
  host:
    description: Only results of these hosts; patterns for their names in the inventory.
    type: list
    elements: str
    default: []
  name:
    description: Only results of tasks with these names; patterns.
    type: list
    elements: str
    default: []
  id:
    description: Only the results with these ids; patterns.
    type: list
    elements: str
    default: []
  limit:
    description: How many results are listed at most. All that match are summed up.
    type: int
    default: 100
  results:
    description:
      - Show each result itself, as the audit trail would, which replaces what is known or spelled like a secret, and
        has floating-point numbers as strings.
      - Results of tasks with C(no_log) are never kept.
    type: bool
    default: false
  directory:
    description: The directory of the cache. The default is that of O(scripts.toolkit.result_cache#module:directory).
    type: path
seealso:
  - module: scripts.toolkit.result_cache
"""

EXAMPLES = r"""
- name: See what is cached of the web servers
  scripts.toolkit.result_cache_info:
    host: ["web*"]
  run_once: true
  register: cached

- name: Forget what nobody has used
  scripts.toolkit.result_cache:
    invalidate:
      - id: "{{ cached.entries | selectattr('hits', 'eq', 0) | map(attribute='id') }}"
  run_once: true
"""

RETURN = r"""
entries:
  description: The results, the most recently used first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: What names the result in O(id), and in O(scripts.toolkit.result_cache#module:invalidate[].id).
      type: str
    module:
      description: The module.
      type: str
    host:
      description: The host.
      type: str
    name:
      description: The name of the task.
      type: str
    age:
      description: The seconds since it was kept.
      type: float
    ttl:
      description: The seconds for which it may be used.
      type: float
    fresh:
      description: Whether it may be used still.
      type: bool
    size:
      description: The bytes that it takes.
      type: int
    hits:
      description: How often it was used instead of doing the task.
      type: int
    result:
      description: The result itself.
      type: dict
      returned: with O(results)
  sample:
    - id: 5f0c5f9eeb1d2c90
      module: ansible.builtin.setup
      host: web01
      name: Gather facts
      age: 214.731
      ttl: 3600.0
      fresh: true
      size: 33870
      hits: 7
totals:
  description: The sums over all results that match.
  returned: success
  type: dict
  contains:
    entries:
      description: How many there are.
      type: int
    fresh:
      description: How many may be used still.
      type: int
    expired:
      description: How many are too old.
      type: int
    size:
      description: Their bytes.
      type: int
    hits:
      description: How often they were used.
      type: int
directory:
  description: The directory of the cache.
  returned: success
  type: str
  sample: /var/lib/scripts-toolkit/cache
error:
  description: Why it failed, with C(kind), C(message), C(hint) and C(item).
  returned: on failure
  type: dict
  sample:
    kind: integrity
    message: "/var/lib/scripts-toolkit/cache/cache.sqlite is damaged: file is not a database."
    hint: Move it away; it is made anew, without what it held.
    item:
"""
