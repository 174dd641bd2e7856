# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.scripts.toolkit.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.scripts.toolkit.plugins.plugin_utils._site_check.action import (
    ARGUMENT_SPEC,
    default_address,
    run,
)


class ActionModule(ControllerAction):
    """Proves from the controller that sites and ports of a host are as they should be; makes no remote call."""

    argument_spec = ARGUMENT_SPEC

    def outcome(self, options):
        if self._task.check_mode:
            return {
                "skipped": True,
                "msg": "Not checked: in check mode the changes that would make these checks hold have not been made.",
            }
        address = options["address"] or default_address(self.task_vars, self._task.delegate_to, self._connection)
        return {**run(address, options), "changed": False}
