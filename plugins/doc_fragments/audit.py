# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation that the modules on the audit trail share."""

from __future__ import annotations


class ModuleDocFragment:
    """Where the trail lies. The fragments ``index`` and ``filters`` are for modules that search it."""

    DOCUMENTATION = r"""
options:
  log_directory:
    description:
      - Where the trail lies on the host that the module runs on.
      - By default C(/var/log/scripts-toolkit/audit) for root, and C(scripts-toolkit/log/audit) in the XDG state
        directory (C(~/.local/state)) for others.
    type: path
seealso:
  - plugin: scripts.toolkit.audit
    plugin_type: callback
"""

    INDEX = r"""
options:
  index:
    description:
      - The index, which is brought up to date first. A file, or the DSN of a PostgreSQL database such as
        V(postgresql://audit@db.example.com/audit), which needs the Python library psycopg on that host.
      - By default C(index.sqlite) beside the log. It holds nothing that the log does not, and is made again when it is
        missing or damaged.
      - Leave the password out of a DSN; libpq takes it from the environment or a password file.
    type: str
  since:
    description:
      - The beginning of the time range, such as V(2026-01-02), V(2026-01-02T03:04:05Z), V(2h), V(3d), V(today). Times
        without an offset are UTC.
    type: str
  until:
    description: The end of the time range. A day means its end.
    type: str
"""

    FILTERS = r"""
options:
  run:
    description: Ids of runs, or their beginnings or ends; V(last) and V(last~1) for the last run and the one before.
    type: list
    elements: str
    default: []
  event:
    description: Types of events, such as V(TASK_RESULT).
    type: list
    elements: str
    default: []
  script:
    description: Playbooks, with or without their directories. C(*) and C(?) are wildcards here and in all filters.
    type: list
    elements: str
    default: []
  user:
    description: Users who ran Ansible.
    type: list
    elements: str
    default: []
  host:
    description: Managed hosts.
    type: list
    elements: str
    default: []
  status:
    description: Statuses of task results and of runs, such as V(failed).
    type: list
    elements: str
    default: []
  module:
    description: Modules, with or without their collections.
    type: list
    elements: str
    default: []
  path:
    description: Files. With V(/) at the end, everything below it.
    type: list
    elements: str
    default: []
  controller:
    description: Machines that Ansible ran on.
    type: list
    elements: str
    default: []
"""
