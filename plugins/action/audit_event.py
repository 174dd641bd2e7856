# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.custom import EVENTS_KEY, event_type_problem
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.run import recording_run_id
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import DependencyError, ValidationError
from ansible_collections.scripts.toolkit.plugins.plugin_utils._controller_action import ControllerAction

ARGUMENT_SPEC = {
    "event_type": {"type": "str", "required": True},
    "details": {"type": "dict", "default": {}},
    "require": {"type": "bool", "default": False},
}


class ActionModule(ControllerAction):
    """Puts an event into the result, which the audit callback records; makes no remote call."""

    argument_spec = ARGUMENT_SPEC

    def outcome(self, options):
        return _event(options)


def _event(options):
    problem = event_type_problem(options["event_type"])
    if problem:
        raise ValidationError(f"event_type: {problem}.", hint="Choose another one, such as DEPLOYMENT.")
    run_id = recording_run_id()
    if run_id is None and options["require"]:
        raise DependencyError(
            "This run is not recorded: the callback scripts.toolkit.audit is not active.",
            hint="Enable it: callbacks_enabled = scripts.toolkit.audit.",
        )
    told = {"recorded": run_id is not None, "run_id": run_id}
    if run_id is not None:
        told[EVENTS_KEY] = [{"event_type": options["event_type"], "details": options["details"]}]
    return told
