# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.scripts.toolkit.plugins.module_utils._core.paths import base_directory
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit import open_store
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit_admin import look
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit_options import BACKEND_SPEC
from ansible_collections.scripts.toolkit.plugins.plugin_utils._controller_action import ControllerAction

ARGUMENT_SPEC = {
    "names": {"type": "list", "elements": "str", "default": []},
    "backend": BACKEND_SPEC,
}


class ActionModule(ControllerAction):
    """Reads circuits of the controller, or of its backend; makes no remote call."""

    argument_spec = ARGUMENT_SPEC

    def outcome(self, options):
        store = open_store(options["backend"], base_directory("state"))
        try:
            return {"circuits": look(store, options["names"])}
        finally:
            store.release()
