# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.scripts.toolkit.plugins.module_utils._core.paths import base_directory
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit import open_store
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit_admin import STATES, set_circuits
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit_options import BACKEND_SPEC
from ansible_collections.scripts.toolkit.plugins.plugin_utils._controller_action import ControllerAction

ARGUMENT_SPEC = {
    "circuits": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": list(STATES)},
            "reason": {"type": "str"},
        },
    },
    "backend": BACKEND_SPEC,
}


class ActionModule(ControllerAction):
    """Sets circuits of the controller, or of its backend; makes no remote call."""

    argument_spec = ARGUMENT_SPEC

    def outcome(self, options):
        store = open_store(options["backend"], base_directory("state"))
        try:
            return set_circuits(store, options["circuits"], self._task.check_mode).result()
        finally:
            store.release()
