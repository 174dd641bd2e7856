# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter backoff_delays; its documentation is in backoff_delays.yml."""

from __future__ import annotations

import random
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.backoff import BACKOFF_SPEC, Backoff


def _backoff_delays(policy: object, seed: object = None) -> list[float]:
    if not isinstance(policy, Mapping):
        raise AnsibleFilterError("backoff_delays: give a mapping such as {'attempts': 5, 'initial_delay': 1}.")
    checked = ArgumentSpecValidator(BACKOFF_SPEC).validate(dict(policy))
    if checked.error_messages:
        raise AnsibleFilterError(f"backoff_delays: {checked.error_messages[0]}")
    try:
        delays = Backoff.from_options(checked.validated_parameters, where="").delays(
            None if seed is None else random.Random(str(seed))
        )
    except ToolkitError as error:
        raise AnsibleFilterError(f"backoff_delays: {error.as_result()['msg']}") from error
    return [round(delay, 3) for delay in delays]


class FilterModule:
    """Jinja2 filters of this file."""

    def filters(self) -> dict:
        return {"backoff_delays": _backoff_delays}
