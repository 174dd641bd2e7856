# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter network_target_lines; its documentation is in network_target_lines.yml."""

from __future__ import annotations

from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._network.targets.lines import to_lines


def _network_target_lines(wishes: object) -> str:
    if not isinstance(wishes, Mapping):
        raise AnsibleFilterError("network_target_lines: give a mapping with targets and rules.")
    try:
        return to_lines(wishes.get("targets") or [], wishes.get("rules") or [])
    except ToolkitError as error:
        raise AnsibleFilterError(f"network_target_lines: {error.as_result()['msg']}") from error


class FilterModule:
    """Jinja2 filters of this file."""

    def filters(self) -> dict:
        return {"network_target_lines": _network_target_lines}
