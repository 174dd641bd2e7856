# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time

from ansible.plugins.action import ActionBase

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._core.outcomes import error_from_os
from ansible_collections.scripts.toolkit.plugins.plugin_utils._network.action import ARGUMENT_SPEC, run


class ActionModule(ActionBase):
    """Reports on what all hosts found of the network; makes no remote call."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_async = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp, task_vars
        _validation, options = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        try:
            result.update(run(options, time.time(), self._task.check_mode))
        except ToolkitError as error:
            result.update(error.as_result())
        except OSError as error:
            result.update(error_from_os(error).as_result())
        result["changed"] = False
        return result
