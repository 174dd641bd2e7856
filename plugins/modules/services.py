#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: services
short_description: Enable, start, stop, reload and restart many systemd units in one call
version_added: 1.0.0
author:
  - scripts.toolkit contributors (@scripts-toolkit)
description:
  - Brings a list of units (services, sockets, timers and other units, template instances included) to the state that
    is wanted, with one C(systemctl) call to read the state of all, and one call for each verb that is needed.
  - Waits until each unit is active; a unit that fails, or that systemd starts again and again, is noticed at once, and
    its outcome carries the end of its journal.
  - Pays what is owed. Modules of this collection that change a file of a service note on the host, before the change is
    visible, that the service must be reloaded or restarted. This module does that once, sees that the unit is active
    again, and only then removes the note, so that nothing is lost when a run stops in between.
  - Tells systemd to read its unit files again (C(daemon-reload)) where it says that they have changed.
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.bulk
attributes:
  check_mode:
    details: A unit that does not exist is predicted as changed, because its package may not be installed yet.
  idempotent:
    support: partial
    details: The states V(restarted) and V(reloaded) of O(units[].state) act each time.
options:
  units:
    description:
      - The units. Entries for the same unit are merged.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the unit; without a suffix it is a service. A template needs its instance, C(backup@home.timer).
        type: str
        required: true
      enabled:
        description: Whether it is started at boot. Not set, that stays as it is.
        type: bool
      state:
        description:
          - The state wanted. Not set, that stays as it is.
          - V(started) starts it unless it is active.
          - V(stopped) stops it unless it is inactive.
          - V(restarted) and V(reloaded) act each time that the module runs. A unit that is down is started, a unit that
            can't reload is restarted. After a change of configuration, the actions owed do that only when needed.
        type: str
        choices: [started, stopped, restarted, reloaded]
      masked:
        description: Whether it is made impossible to start it. Not set, that stays as it is.
        type: bool
  wait:
    description: How many seconds the units together have to reach their state.
    type: float
    default: 30
  journal_lines:
    description: How many lines of its journal the outcome of a unit that failed carries.
    type: int
    default: 30
  settle_owed:
    description:
      - Whether actions owed to units that are not listed in O(units) are done too.
      - One of those that is down is started only if it is enabled or has failed; if it was stopped on purpose, it reads
        its new configuration when somebody starts it, and the note is removed.
    type: bool
    default: true
  notified:
    description:
      - Units and actions that earlier tasks returned as RV(scripts.toolkit.file_tree#module:notified).
      - Check mode predicts from them, since those tasks have noted nothing on the host then. In a run the notes count.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: The web server and the certificate timer run, now and after a boot
  scripts.toolkit.services:
    units:
      - name: nginx
        enabled: true
        state: started
      - name: certbot.timer
        enabled: true
        state: started

- name: A service that must never run on these hosts
  scripts.toolkit.services:
    units:
      - name: rpcbind.socket
        enabled: false
        state: stopped
        masked: true

- name: Only do what is owed since the last change of configuration
  scripts.toolkit.services:
"""

RETURN = r"""
outcomes:
  description: What was done for each unit.
  returned: always
  type: list
  elements: dict
  contains:
    item:
      description: Full name of the unit.
      type: str
    changed:
      description: Whether something was (in check mode, would be) done.
      type: bool
    action:
      description: What was done, for example V(enable, start); null if nothing.
      type: str
    enabled_before:
      description: State of the unit file before, in the words of systemd; V(absent) if there was none.
      type: str
    enabled_after:
      description: State of the unit file after.
      type: str
    active_before:
      description: Whether the unit was active, in the words of systemd.
      type: str
    active_after:
      description: Whether the unit is active now.
      type: str
    owed:
      description: The action that was owed.
      returned: when an action was owed
      type: str
    journal:
      description: The last lines of the unit's journal.
      returned: when the unit failed
      type: list
      elements: str
    error:
      description: Kind, message and hint of the failure.
      returned: when the unit failed
      type: dict
  sample:
    - item: nginx.service
      changed: true
      action: enable, start
      enabled_before: disabled
      enabled_after: enabled
      active_before: inactive
      active_after: active
daemon_reloaded:
  description: Whether systemd was told to read its unit files again.
  returned: always
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.commands import Commands
from ..module_utils._core.module import run_module
from ..module_utils._system.services import Services


def work(module):
    services = Services(
        Commands(module.run_command),
        module.params["units"],
        wait=module.params["wait"],
        journal_lines=module.params["journal_lines"],
        settle_owed=module.params["settle_owed"],
        foreseen=module.params["notified"],
    )
    return services.apply(check_mode=module.check_mode)


def main():
    unit = {
        "name": {"type": "str", "required": True},
        "enabled": {"type": "bool"},
        "state": {"type": "str", "choices": ["started", "stopped", "restarted", "reloaded"]},
        "masked": {"type": "bool"},
    }
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "list", "elements": "dict", "options": unit, "default": []},
            "wait": {"type": "float", "default": 30},
            "journal_lines": {"type": "int", "default": 30},
            "settle_owed": {"type": "bool", "default": True},
            "notified": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
