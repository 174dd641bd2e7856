# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What actions have in common that do all their work on the controller."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.plugins.action import ActionBase

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError

__all__ = ["ControllerAction"]


class ControllerAction(ActionBase):
    """Validates its options, does its work without a remote call, and tells an error as all modules do."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_async = False
    _supports_check_mode = True

    argument_spec: ClassVar[dict[str, Any]]

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp
        _validation, options = self.validate_argument_spec(argument_spec=self.argument_spec)
        self.task_vars = task_vars or {}
        result.update(changed=False, failed=False)
        try:
            result.update(self.outcome(options))
        except ToolkitError as error:
            result.update(error.as_result())
        if not self._task.diff:
            result.pop("diff", None)
        return result

    @abstractmethod
    def outcome(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Do the work and return what the result has beside ``changed`` (false) and ``failed`` (false).

        :param options: validated by :attr:`argument_spec`.
        :raises ToolkitError: the task fails; what this returns otherwise is not there then.
        """
