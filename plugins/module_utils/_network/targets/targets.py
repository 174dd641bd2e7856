# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Targets: what is probed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..._core.errors import ValidationError
from .addresses import Endpoint, Network, parse_endpoint, parse_network

__all__ = ["TARGET_TYPES", "Target", "make_targets", "targets_spec"]

TARGET_TYPES = ("host", "service", "network")


@dataclass(frozen=True)
class Target:
    """A host, a service of one, or a network. ``endpoint`` is of hosts and services, ``network`` of networks; the other
    one is ``None``."""

    name: str
    address: str
    type: str = "host"
    endpoint: Endpoint | None = None
    network: Network | None = None
    info: Mapping[str, Any] = field(default_factory=dict)


def targets_spec() -> dict[str, Any]:
    """Return the option ``targets`` as an argument specification."""
    options = {
        "name": {"type": "str"},
        "address": {"type": "str", "required": True},
        "type": {"type": "str", "choices": list(TARGET_TYPES), "default": "host"},
        "port": {"type": "int"},
        "info": {"type": "dict", "default": {}},
    }
    return {"type": "list", "elements": "dict", "required": True, "options": options}


def make_targets(wishes: Sequence[Mapping[str, Any]]) -> list[Target]:
    """Return the targets that are wished for.

    :raises ValidationError: there are none, two have the same name, or one can't be used.
    """
    if not wishes:
        raise ValidationError("targets is empty.", hint="Give at least one target with its address.")
    found: dict[str, Target] = {}
    for number, wish in enumerate(wishes):
        target = _target(wish, f"targets[{number}]")
        if target.name in found:
            raise ValidationError(
                f"targets[{number}]: the name {target.name!r} was given to another target.",
                hint="Give each target a name of its own.",
            )
        found[target.name] = target
    return list(found.values())


def _target(wish: Mapping[str, Any], where: str) -> Target:
    address = str(wish["address"])
    name = str(wish.get("name") or address)
    kind = wish.get("type") or "host"
    port = wish.get("port")
    info = dict(wish.get("info") or {})
    if any(char < " " or char == "\x7f" for char in name):
        raise ValidationError(f"{where}.name: {name!r} has control characters.", hint="Use a name of one line.")
    if port is not None and not 1 <= port <= 65535:
        raise ValidationError(f"{where}.port: {port} is not a port.", hint="Ports are 1 to 65535.")
    if kind == "network":
        if port is not None:
            raise ValidationError(f"{where}.port: a network has no port.", hint="Leave it out.")
        return Target(name, address, kind, network=parse_network(address, f"{where}.address"), info=info)
    endpoint = parse_endpoint(address, f"{where}.address")
    if port is not None:
        if endpoint.port not in (0, port):
            raise ValidationError(
                f"{where}.port: {port} contradicts the address {address!r}.", hint="Leave one of the two out."
            )
        endpoint = Endpoint(endpoint.host, port, endpoint.scheme, endpoint.path)
    return Target(name, address, kind, endpoint=endpoint, info=info)
