# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter network_targets; its documentation is in network_targets.yml."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._network.targets.lines import from_lines


def _network_targets(text: object) -> dict[str, list]:
    if not isinstance(text, str):
        raise AnsibleFilterError("network_targets: give a text, such as the content of a file.")
    try:
        return from_lines(text)
    except ToolkitError as error:
        raise AnsibleFilterError(f"network_targets: {error.as_result()['msg']}") from error


class FilterModule:
    """Jinja2 filters of this file."""

    def filters(self) -> dict:
        return {"network_targets": _network_targets}
