# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Controller half of ``tls_certificate``: signs with the own CA what the host asks to be signed."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ..module_utils._core.errors import ToolkitError
from ..module_utils._core.outcomes import error_from_os
from ..plugin_utils._tls.signing import Signing


class ActionModule(ActionBase):
    """One remote call, and a second one when the own CA has signed."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}

        def call(**private):
            arguments = {name: value for name, value in self._task.args.items() if name != "ca"}
            return self._execute_module(
                module_name="scripts.toolkit.tls_certificate",
                module_args={**arguments, **private},
                task_vars=task_vars,
            )

        try:
            signing = Signing(self._task.args, task_vars.get("inventory_hostname", ""), self._task.check_mode)
            result.update(signing.run(call))
        except ToolkitError as error:
            result.update(error.as_result())
        except OSError as error:
            result.update(error_from_os(error).as_result())
        return result
