# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter merge_plans; its documentation is in merge_plans.yml."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.plugin_utils._plan import merge_plans


def _merge_plans(plans: list) -> dict:
    try:
        return merge_plans(plans)
    except ToolkitError as error:
        raise AnsibleFilterError(error.as_result()["msg"]) from error


class FilterModule:
    """Jinja2 filters of this file."""

    def filters(self) -> dict:
        return {"merge_plans": _merge_plans}
