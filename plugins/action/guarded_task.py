# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.custom import EVENTS_KEY
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.run import recording_run_id
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError, ValidationError
from ansible_collections.scripts.toolkit.plugins.plugin_utils._guard.conditions import Conditions
from ansible_collections.scripts.toolkit.plugins.plugin_utils._guard.task import GUARDED_TASK_SPEC, GuardedTask
from ansible_collections.scripts.toolkit.plugins.plugin_utils._guard.wrapped import Wrapped

display = Display()


class ActionModule(ActionBase):
    """Runs another module or action inside guards."""

    TRANSFERS_FILES = False
    _supports_async = True  # refused below, saying what to do
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        del tmp
        try:
            guarded = self._guarded(task_vars or {})
            result = guarded.run()
        except ToolkitError as error:
            return {"changed": False, **error.as_result()}
        for warning in guarded.warnings:
            display.warning(warning)
        if recording_run_id() is not None:
            result[EVENTS_KEY] = [*result.get(EVENTS_KEY, ()), *guarded.decisions.events]
        return result

    def _guarded(self, task_vars):
        task = self._task
        if task.async_val:
            raise ValidationError(
                "async: a guarded task can't run asynchronously.",
                hint="Leave async out; timeout and deadline limit its time.",
            )
        task.args = _with_on(task.args)
        _validation, options = self.validate_argument_spec(argument_spec=GUARDED_TASK_SPEC)
        wrapped = Wrapped(self, options["module"], task.args.get("args") or {}, task_vars)
        conditions = Conditions(self._templar, self._loader, task_vars)
        about = {
            "host": str(task_vars.get("inventory_hostname", "")),
            "name": str(task.get_name()),
            "no_log": bool(task.no_log),
            "check_mode": bool(task.check_mode),
            "context": {
                "become": [str(value) for value in (task.become, task.become_user, task.become_method)],
                "delegate_to": str(task.delegate_to or ""),
                "environment": str(task.environment or ""),
            },
        }
        return GuardedTask(options, wrapped, conditions.holds, about)


def _with_on(args):
    """Return the options with ``retry.on`` under its name: an ``on`` without quotes is the truth in YAML 1.1."""
    retry = args.get("retry")
    if not isinstance(retry, dict) or True not in retry:
        return args
    return {**args, "retry": {"on" if key is True else key: value for key, value in retry.items()}}
