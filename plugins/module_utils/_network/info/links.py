# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Interfaces, routes and rules, in words that stay the same whatever iproute2 calls them."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from .ip import IpTool

__all__ = ["defaults", "interfaces", "neighbours", "routes", "rules"]

_FAMILIES = {"inet": "ipv4", "inet6": "ipv6"}
_ADDRESS_FLAGS = ("tentative", "dadfailed", "deprecated", "temporary", "dynamic")
_COUNTERS = ("bytes", "packets", "errors", "dropped")
_MAIN = "main"


def interfaces(ip_tool: IpTool, sysfs: str = "/sys/class/net") -> list[dict]:
    """Return all interfaces, by index. Speed and duplex come from sysfs (sysfs-class-net): ip does not tell them."""
    found = []
    for link in ip_tool.ask("-d", "-s", "address", "show"):
        place = os.path.join(sysfs, link["ifname"])
        flags = link["flags"]
        speed = _number(place, "speed")
        found.append(
            {
                "name": link["ifname"],
                "index": link["ifindex"],
                "kind": link.get("linkinfo", {}).get("info_kind") or link["link_type"],
                "master": link.get("master"),
                "enabled": "UP" in flags,
                "carrier": "LOWER_UP" in flags,
                "state": link["operstate"].lower(),
                "carrier_changes": _number(place, "carrier_changes"),
                "mtu": link["mtu"],
                "mac": link.get("address") if link["link_type"] == "ether" else None,
                # The kernel says -1, or fails, where a device has no speed.
                "speed_mbps": speed if speed and speed > 0 else None,
                "duplex": _text(place, "duplex"),
                "addresses": [_address(entry) for entry in link["addr_info"] if entry],
                "counters": {f"{way}_{name}": link["stats64"][way][name] for way in ("rx", "tx") for name in _COUNTERS},
            }
        )
    return found


def _address(entry: dict) -> dict:
    return {
        "address": entry["local"],
        "prefix": entry["prefixlen"],
        "family": _FAMILIES[entry["family"]],
        "scope": entry["scope"],
        "flags": [name for name in _ADDRESS_FLAGS if entry.get(name)],
    }


def _text(place: str, name: str) -> str | None:
    try:
        with open(os.path.join(place, name), encoding="ascii") as handle:
            text = handle.read().strip()
    except OSError:
        return None  # The device has none, is down, or went away.
    return text if text not in ("", "unknown") else None


def _number(place: str, name: str) -> int | None:
    text = _text(place, name)
    return None if text is None else int(text)


def _families() -> list[tuple[str, str]]:
    """Return the options of ip, and names, of the address families that this kernel has."""
    return [("-4", "ipv4")] + ([("-6", "ipv6")] if os.path.exists("/proc/net/if_inet6") else [])


def routes(ip_tool: IpTool) -> list[dict]:
    """Return the routes of all tables but ``local``, which the kernel makes of the addresses."""
    found = []
    for option, family in _families():
        for entry in ip_tool.ask(option, "route", "show", "table", "all"):
            if entry.get("table", _MAIN) != "local" and entry.get("type") not in ("multicast", "anycast"):
                hops = [
                    {"gateway": hop.get("gateway"), "interface": hop.get("dev"), "weight": hop.get("weight", 1)}
                    for hop in entry.get("nexthops", [])
                ]
                found.append(
                    {
                        "family": family,
                        "type": entry.get("type", "unicast"),
                        "destination": entry["dst"],
                        "gateway": entry.get("gateway") or entry.get("via", {}).get("host"),
                        "interface": entry.get("dev"),
                        "table": entry.get("table", _MAIN),
                        "metric": entry.get("metric", 0),
                        "protocol": entry.get("protocol", "boot"),
                        "source": entry.get("prefsrc"),
                        "nexthops": hops,
                    }
                )
    return found


def defaults(found: list[dict]) -> dict[str, dict | None]:
    """Return of :func:`routes` the one that each family's packets to everywhere else take."""
    chosen: dict[str, dict | None] = {"ipv4": None, "ipv6": None}
    for route in sorted(found, key=lambda route: route["metric"]):
        wide = route["destination"] in ("default", "0.0.0.0/0", "::/0")
        if wide and route["table"] == _MAIN and route["type"] == "unicast" and chosen[route["family"]] is None:
            chosen[route["family"]] = route
    return chosen


def rules(ip_tool: IpTool) -> list[dict]:
    """Return the rules that choose a table of routes, in the order in which they are asked."""
    found = []
    for option, family in _families():
        for entry in ip_tool.ask(option, "rule", "show"):
            found.append(
                {
                    "family": family,
                    "priority": entry["priority"],
                    "source": _prefix(entry, "src"),
                    "destination": _prefix(entry, "dst"),
                    "table": entry.get("table"),
                    "action": entry.get("action", "lookup"),
                    "fwmark": entry.get("fwmark"),
                    "incoming": entry.get("iif"),
                    "outgoing": entry.get("oif"),
                }
            )
    return found


def _prefix(entry: dict, name: str) -> str:
    length = entry.get(f"{name}len")
    return f"{entry[name]}/{length}" if length is not None else entry.get(name, "all")


def neighbours(ip_tool: IpTool) -> dict[str, Any]:
    """Return how many neighbours the kernel knows, by state and by interface."""
    found = ip_tool.neighbours()
    return {
        "total": len(found),
        "states": dict(Counter(entry["state"].lower() for entry in found)),
        "interfaces": dict(Counter(entry["interface"] for entry in found)),
    }
