# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole result of a call: latency to targets, then bandwidth to one other host."""

from __future__ import annotations

import socket

from ..._core.commands import Commands
from ..._core.errors import ToolkitError, ValidationError
from ..path.destinations import resolve_all
from .client import Client, check_options
from .latency import measure_latency
from .server import Server

__all__ = ["performance_info"]


def performance_info(params: dict, commands: Commands) -> dict:
    """Return the module's result for its parameters.

    Latency is measured before bandwidth, which would disturb it. Both sides' options are checked before anything runs.

    :raises ToolkitError: an option can't be used, or the bandwidth could not be measured.
    """
    options = params["bandwidth"]
    if not params["targets"] and options is None:
        raise ValidationError("There is nothing to measure.", hint="Name targets, or set bandwidth.")
    if options is not None:
        check_options(options)
    result: dict = {"changed": False, "failed": False, "outcomes": [], "bandwidth": None}
    if params["targets"]:
        result.update(measure_latency(params))
    if options is not None:
        result["bandwidth"] = _bandwidth(options, params["ip_version"], commands)
    result["vantage"] = {"hostname": socket.gethostname()}
    return result


def _bandwidth(options: dict, ip_version: str, commands: Commands) -> dict:
    (destination,) = resolve_all([options["address"]], "bandwidth.address", ip_version)
    if isinstance(destination, ToolkitError):
        raise destination
    side = Server(options, destination) if options["role"] == "server" else Client(options, destination, commands)
    return {"role": options["role"], "address": destination.address, "port": options["port"], **side.run()}
