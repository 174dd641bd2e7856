# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter network_topology; its documentation is in network_topology.yml."""

from __future__ import annotations

import json

from ansible.errors import AnsibleFilterError

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.plugin_utils._topology.dot import draw_dot
from ansible_collections.scripts.toolkit.plugins.plugin_utils._topology.graph import build_graph
from ansible_collections.scripts.toolkit.plugins.plugin_utils._topology.svg import draw_svg


def _to_json(graph: dict) -> str:
    return json.dumps(graph, indent=2, sort_keys=True) + "\n"


_FORMATS = {"data": lambda graph: graph, "json": _to_json, "dot": draw_dot, "svg": draw_svg}


def _network_topology(results: object, format: str = "data", neighbours: bool = False) -> dict | str:
    if format not in _FORMATS:
        raise AnsibleFilterError(f"network_topology: format {format!r} is none of {', '.join(_FORMATS)}.")
    try:
        return _FORMATS[format](build_graph(results, neighbours))
    except ToolkitError as error:
        raise AnsibleFilterError(error.as_result()["msg"]) from error


class FilterModule:
    """Jinja2 filters of this file."""

    def filters(self) -> dict:
        return {"network_topology": _network_topology}
