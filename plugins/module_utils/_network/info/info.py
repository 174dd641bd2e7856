# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this host's network is like: what the module ``network_info`` does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..._core.commands import Commands
from ..._core.errors import ValidationError
from .ip import IpTool
from .links import defaults, interfaces, neighbours, routes, rules
from .listening import listening_processes
from .resolvers import resolvers

__all__ = ["SUBSETS", "network_info"]

SUBSETS = ("interfaces", "routes", "resolvers", "neighbours", "listening")


def network_info(subsets: Iterable[str], commands: Commands) -> dict:
    """Return the result of the module.

    :param subsets: which of the :data:`SUBSETS`.
    :raises ToolkitError: there are none, ip(8) is missing or failed.
    """
    chosen = set(subsets)
    if not chosen:
        raise ValidationError("subsets is an empty list.", hint=f"Name some of {', '.join(SUBSETS)}, or leave it out.")
    result: dict[str, Any] = {"changed": False}
    if chosen & {"interfaces", "routes", "neighbours"}:
        ip_tool = IpTool(commands)
        if "interfaces" in chosen:
            result["interfaces"] = interfaces(ip_tool)
        if "routes" in chosen:
            result["routes"] = routes(ip_tool)
            result["default_routes"] = defaults(result["routes"])
            result["rules"] = rules(ip_tool)
        if "neighbours" in chosen:
            result["neighbours"] = neighbours(ip_tool)
    if "resolvers" in chosen:
        result["resolvers"] = resolvers(commands)
    if "listening" in chosen:
        result["listening"] = listening_processes()
    return result
