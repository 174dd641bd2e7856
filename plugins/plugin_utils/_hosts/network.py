# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts' network: a bridge, a subnet that nobody uses, address translation, and a switch per host to cut it."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Iterable

from ...module_utils._core.commands import Commands
from ...module_utils._core.errors import ConflictError, UnavailableError, ValidationError
from .layout import Layout

__all__ = ["Network", "candidates", "free_subnet", "occupied"]

_FORWARDING = "/proc/sys/net/ipv4/ip_forward"


def candidates(tag: str) -> Iterable[ipaddress.IPv4Network]:
    """Yield private /24 networks that are rare elsewhere, in an order that depends on ``tag``.

    Two sets of hosts seldom meet then, even when each chooses without seeing the other.
    """
    start = int.from_bytes(tag.encode()[-4:], "big")
    count = 40 * 256
    for step in range(count):
        second, third = divmod((start * 2654435761 + step) % count, 256)
        yield ipaddress.IPv4Network(f"10.{second + 208}.{third}.0/24")


def occupied(routes: list[dict], addresses: list[dict], servers: Iterable[str] = ()) -> list[ipaddress.IPv4Network]:
    """Return the networks that this machine reaches in another way than by its default route.

    :param routes: as ``ip -json -4 route show table all`` gives them.
    :param addresses: as ``ip -json -4 address`` gives them.
    :param servers: single addresses, such as name servers, that must stay reachable.
    """
    networks = []
    for route in routes:
        if route["dst"] != "default" and route.get("type", "unicast") not in ("broadcast", "multicast"):
            networks.append(ipaddress.IPv4Network(route["dst"], strict=False))
    for link in addresses:
        for address in link.get("addr_info", []):
            networks.append(ipaddress.IPv4Network(f"{address['local']}/{address['prefixlen']}", strict=False))
    for server in servers:
        try:
            networks.append(ipaddress.IPv4Network(server))
        except ValueError:
            continue
    return [network for network in networks if network.prefixlen > 0]


def free_subnet(wanted: Iterable[ipaddress.IPv4Network], taken: list[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
    """Return the first wanted network that overlaps none that is taken.

    :raises ConflictError: there is none.
    """
    for network in wanted:
        if not any(network.overlaps(other) for other in taken):
            return network
    raise ConflictError(
        "No free /24 network was found for the disposable hosts.",
        hint="Set TOOLKIT_HOSTS_SUBNET to one that this machine does not use.",
    )


class Network:
    """Makes and removes the bridge ``layout.bridge`` and the nft tables ``layout.table``, and nothing else."""

    def __init__(self, layout: Layout, commands: Commands) -> None:
        self._layout = layout
        self._commands = commands

    def _ip(self, *arguments: str) -> None:
        self._commands.check(["ip", *arguments])

    def _json(self, *arguments: str) -> list[dict]:
        return json.loads(self._commands.check(["ip", "-json", *arguments]).out or "[]")

    def choose(self, override: str | None, servers: Iterable[str]) -> dict:
        """Return ``subnet`` and ``gateway`` for a new network.

        :param override: a network in CIDR notation, from TOOLKIT_HOSTS_SUBNET.
        :raises ValidationError: the override is no IPv4 network of /16 to /28.
        :raises ConflictError: nothing is free.
        """
        taken = occupied(self._json("-4", "route", "show", "table", "all"), self._json("-4", "address"), servers)
        wanted = candidates(self._layout.tag)
        if override:
            try:
                chosen = ipaddress.IPv4Network(override)
            except ValueError as error:
                raise ValidationError(f"TOOLKIT_HOSTS_SUBNET={override!r}: {error}.") from None
            if not 16 <= chosen.prefixlen <= 28:
                raise ValidationError(f"TOOLKIT_HOSTS_SUBNET={override!r} is not between /16 and /28.")
            wanted = [chosen]
        subnet = free_subnet(wanted, taken)
        with open(_FORWARDING, encoding="ascii") as handle:
            forwarding = handle.read().strip()
        return {"subnet": str(subnet), "gateway": str(subnet[1]), "forwarding": forwarding}

    def links(self) -> list[str]:
        """Return the names of this set's links that exist: the bridge and the hosts' ports."""
        names = [link["ifname"] for link in self._json("link")]
        return [name for name in names if name == self._layout.bridge or self._is_port(name)]

    def _is_port(self, name: str) -> bool:
        return name.startswith(f"{self._layout.tag}-") and name.removeprefix(f"{self._layout.tag}-").isdigit()

    def _tables(self) -> list[tuple[str, str]]:
        listing = json.loads(self._commands.check(["nft", "--json", "list", "tables"]).out)["nftables"]
        tables = [entry["table"] for entry in listing if "table" in entry]
        return [(table["family"], table["name"]) for table in tables if table["name"] == self._layout.table]

    def ensure(self, chosen: dict) -> None:
        """Make what is missing of the network that :meth:`choose` gave. May be called again at any time."""
        subnet = ipaddress.IPv4Network(chosen["subnet"])
        bridge = self._layout.bridge
        if bridge not in self.links():
            self._ip("link", "add", "name", bridge, "type", "bridge")
        self._ip("address", "replace", f"{chosen['gateway']}/{subnet.prefixlen}", "dev", bridge)
        self._ip("link", "set", bridge, "alias", f"disposable hosts of {self._layout.base}"[:200], "up")
        if len(self._tables()) < 2:
            self._nft(self._rules(chosen["subnet"]))
        with open(_FORWARDING, encoding="ascii") as handle:
            forwards = handle.read().strip()
        if forwards == "0":
            with open(_FORWARDING, "w", encoding="ascii") as handle:
                handle.write("1\n")

    def _nft(self, text: str) -> None:
        self._commands.check(["nft", "-f", "-"], stdin=text)

    def _rules(self, subnet: str) -> str:
        """Return one transaction that makes both tables, whether or not they exist."""
        table, bridge = self._layout.table, self._layout.bridge
        return f"""
add table ip {table}
delete table ip {table}
table ip {table} {{
  chain leaving {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {subnet} oifname != "{bridge}" masquerade
  }}
}}
add table bridge {table}
delete table bridge {table}
table bridge {table} {{
  set cut {{ type ifname; }}
  chain between {{ type filter hook forward priority 0; policy accept; iifname @cut drop; oifname @cut drop; }}
  chain inward {{ type filter hook input priority 0; policy accept; iifname @cut drop; }}
  chain outward {{ type filter hook output priority 0; policy accept; oifname @cut drop; }}
}}
"""

    def attach(self, port: str, patience: float = 10.0) -> None:
        """Plug the link ``port`` into the bridge as soon as it exists.

        :raises UnavailableError: it did not come within ``patience`` seconds.
        """
        deadline = time.monotonic() + patience
        while not (done := self._commands.run(["ip", "link", "set", port, "master", self._layout.bridge, "up"])).ok:
            if time.monotonic() > deadline:
                raise UnavailableError(f"The network link {port} did not appear: {done.complaint}")
            time.sleep(0.03)

    def cut(self, port: str, how: str) -> None:
        """Cut the host behind ``port`` off: ``link`` takes the carrier away, ``drop`` discards every frame silently.

        :raises ToolkitError: ``ip`` or ``nft`` failed.
        """
        if how == "link":
            self._ip("link", "set", port, "down")
        else:
            self._nft(f'add element bridge {self._layout.table} cut {{ "{port}" }}\n')

    def heal(self, port: str) -> None:
        """Undo every :meth:`cut` of ``port``."""
        self._nft(
            f'add element bridge {self._layout.table} cut {{ "{port}" }}\n'
            f'delete element bridge {self._layout.table} cut {{ "{port}" }}\n'
        )
        self._ip("link", "set", port, "up")

    def unplug(self, port: str, patience: float = 5.0) -> None:
        """Wait until ``port`` went with its host (the kernel takes a moment), then remove what is left of it."""
        if self._layout.table in {name for family, name in self._tables() if family == "bridge"}:
            self._nft(
                f'add element bridge {self._layout.table} cut {{ "{port}" }}\n'
                f'delete element bridge {self._layout.table} cut {{ "{port}" }}\n'
            )
        deadline = time.monotonic() + patience
        while port in self.links():
            if time.monotonic() > deadline:
                self._commands.run(["ip", "link", "delete", port])
                return
            time.sleep(0.05)

    def remove(self, forwarding: str | None) -> None:
        """Remove the bridge, left ports and both tables.

        :param forwarding: what net.ipv4.ip_forward was before; ``0`` is restored unless another bridge or tunnel,
            which may need it by now, has come up since.
        """
        for link in self.links():
            self._commands.run(["ip", "link", "delete", link])
        for family, name in self._tables():
            self._nft(f"delete table {family} {name}\n")
        kinds = ("bridge", "wireguard", "tun", "vxlan", "veth")
        if forwarding == "0" and not any(
            link.get("linkinfo", {}).get("info_kind") in kinds for link in self._json("-details", "link")
        ):
            with open(_FORWARDING, "w", encoding="ascii") as handle:
                handle.write("0\n")
