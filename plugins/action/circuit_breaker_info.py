# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._core.paths import base_directory
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit import open_store
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit_admin import look
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit_options import BACKEND_SPEC

ARGUMENT_SPEC = {
    "names": {"type": "list", "elements": "str", "default": []},
    "backend": BACKEND_SPEC,
}


class ActionModule(ActionBase):
    """Reads circuits of the controller, or of its backend; makes no remote call."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_async = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp
        _validation, options = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        result.update(changed=False, failed=False)
        try:
            store = open_store(options["backend"], base_directory("state"))
            try:
                result.update(circuits=look(store, options["names"]))
            finally:
                store.release()
        except ToolkitError as error:
            result.update(error.as_result())
        return result
