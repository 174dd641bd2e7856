# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Conditions such as those of ``when``, evaluated for the result of an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.playbook.conditional import Conditional

from ...module_utils._core.errors import ValidationError

__all__ = ["Conditions"]


class Conditions:
    """Evaluates conditions with the variables of the task and ``result``.

    :param templar: that of the action.
    :param loader: likewise.
    """

    def __init__(self, templar: Any, loader: Any, variables: Mapping) -> None:
        self._templar, self._loader, self._variables = templar, loader, variables

    def holds(self, condition: str, result: Mapping) -> bool:
        """Return whether ``condition`` holds for ``result``.

        :raises ValidationError: it can't be evaluated; the message names it.
        """
        variables = {**self._variables, "result": result}
        templar = self._templar.copy_with_new_env(available_variables=variables)
        try:
            if hasattr(templar, "evaluate_conditional"):  # ansible-core 2.19 and newer
                return bool(templar.evaluate_conditional(condition))
            conditional = Conditional(loader=self._loader)
            conditional.when = [condition]
            return bool(conditional.evaluate_conditional(templar, variables))
        except AnsibleError as error:
            raise ValidationError(
                f"retry.on.when: {condition!r} can't be evaluated: {error}",
                hint="It is written as in when, without {{ }}, of the variable result; result.status | default(0) where"
                " an attempt may end without one.",
            ) from error
