# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module without the action plugin of its name, as nobody but a test should.

The module then gets what its action would send over a connection that proves nothing (``local`` and the like), or
what the test puts into its hidden options.
"""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """``module``: its name; ``options``: its options."""

    _requires_connection = True
    _VALID_ARGS = frozenset(("module", "options"))

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        return self._execute_module(
            module_name=self._task.args["module"], module_args=dict(self._task.args["options"]), task_vars=task_vars
        )
