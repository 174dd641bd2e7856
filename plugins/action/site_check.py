# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.plugin_utils._site_check.action import (
    ARGUMENT_SPEC,
    default_address,
    run,
)


class ActionModule(ActionBase):
    """Proves from the controller that sites and ports of a host are as they should be; makes no remote call."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_async = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp
        _validation, options = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        if self._task.check_mode:
            result.update(
                changed=False,
                skipped=True,
                msg="Not checked: in check mode the changes that would make these checks hold have not been made.",
            )
            return result
        try:
            address = options["address"] or default_address(task_vars or {}, self._task.delegate_to, self._connection)
            result.update(run(address, options))
        except ToolkitError as error:
            result.update(error.as_result())
        result["changed"] = False
        return result
