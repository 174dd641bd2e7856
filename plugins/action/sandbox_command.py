# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of ``sandbox_command``: reads the script that is sent along, and seals what may be secret."""

from __future__ import annotations

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    NotFoundError,
    ToolkitError,
    ValidationError,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.request import SANDBOX_SPEC, seal


class ActionModule(ActionBase):
    """One remote call."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        try:
            result.update(
                self._execute_module(
                    module_name="scripts.toolkit.sandbox_command",
                    module_args=seal(self._options()),
                    task_vars=task_vars,
                    wrap_async=self._task.async_val,
                )
            )
        except ToolkitError as error:
            result.update(error.as_result())
        return result

    def _options(self) -> dict:
        checked = ArgumentSpecValidator(SANDBOX_SPEC).validate(dict(self._task.args))
        if checked.error_messages:
            raise ValidationError("; ".join(checked.error_messages))
        options = checked.validated_parameters
        script = options["script"]
        if script and script["src"]:
            script["content"] = self._content(script["src"])
        return options

    def _content(self, source: str) -> str:
        try:
            path = self._find_needle("files", source)
            with open(self._loader.get_real_file(path), "rb") as handle:
                return handle.read().decode("utf-8", "surrogateescape")
        except AnsibleError as error:
            raise NotFoundError(
                f"script: {source} is not on the controller.", hint="Put it into files/ of the role or beside the play."
            ) from error
