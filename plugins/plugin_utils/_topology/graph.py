# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One graph of what many hosts found out about their paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...module_utils._core.errors import ValidationError

__all__ = ["build_graph"]


def build_graph(results: object, neighbours: bool = False) -> dict:
    """Return ``{nodes, edges}`` of results of network_path_info.

    A node is ``{id, label, kind, addresses}``; ``kind`` is ``host`` for the hosts that looked, ``destination`` for what
    they looked for, ``router`` for what is in between and ``neighbour`` for what is known of the links only. An edge is
    ``{source, target, kind, paths, silent_hops, arrived, black_hole}``.

    :param results: a list of results, or ``{name of the host: result}``.
    :param neighbours: whether the neighbours of the hosts are in it.
    :raises ValidationError: ``results`` is no such thing.
    """
    graph = _Graph()
    pairs = list(_pairs(results))
    for name, result in pairs:
        graph.host(name, result["vantage"].get("addresses", []))
    for name, result in pairs:
        for outcome in result["outcomes"]:
            # A destination that failed, such as an unknown name, has no path.
            if "hops" in outcome:
                graph.path(name, outcome)
    for name, result in pairs if neighbours else []:
        for neighbour in result.get("neighbours", []):
            if neighbour["state"] not in ("failed", "incomplete", "noarp", ""):
                graph.edge(name, graph.node(neighbour["address"], "neighbour"), kind="neighbour")
    return graph.as_dict()


def _pairs(results: object) -> Iterable[tuple[str, Mapping]]:
    named = isinstance(results, Mapping) and "outcomes" not in results
    if not named and (isinstance(results, (str, Mapping)) or not isinstance(results, Iterable)):
        raise ValidationError(
            "network_topology takes a list of results of network_path_info, or a dictionary of them by host.",
            hint="Write [result], or a list of all hosts' results.",
        )
    for name, result in results.items() if named else ((None, result) for result in results):
        if not isinstance(result, Mapping) or "outcomes" not in result or "vantage" not in result:
            raise ValidationError(
                f"network_topology: {'an entry' if name is None else name} is no result of network_path_info.",
                hint="Register the results of that module, and leave out hosts where it could not run.",
            )
        yield str(name or result["vantage"]["hostname"]), result


class _Graph:
    """Nodes and edges by what identifies them, in the order in which they were met."""

    def __init__(self) -> None:
        self._nodes: dict[str, dict] = {}
        self._edges: dict[tuple[str, str, str], dict] = {}
        self._owners: dict[str, str] = {}

    def as_dict(self) -> dict:
        return {"nodes": list(self._nodes.values()), "edges": list(self._edges.values())}

    def host(self, name: str, addresses: list[str]) -> None:
        """Enter a host that looked; its addresses lead to it from then on."""
        node = self._nodes.setdefault(name, {"id": name, "label": name, "kind": "host", "addresses": []})
        node["addresses"] += [address for address in addresses if address not in node["addresses"]]
        self._owners.update((address, name) for address in addresses)

    def node(self, address: str, kind: str, name: str | None = None) -> str:
        """Return the id of the node that has ``address``; a new one of ``kind`` if there is none yet."""
        found = self._owners.setdefault(address, address)
        node = self._nodes.setdefault(found, {"id": found, "label": found, "kind": kind, "addresses": [address]})
        if kind == "destination" and node["kind"] == "router":
            node["kind"] = kind
        if name and node["label"] == address and name != address:
            node["label"] = f"{name}\n{address}"
        return found

    def path(self, host: str, outcome: Mapping) -> None:
        """Enter the hops of one path, and the destination."""
        before, silent = host, 0
        hole = (outcome.get("mtu") or {}).get("black_hole") or {}
        for hop in outcome["hops"]:
            if hop["address"] is None:
                silent += 1
                continue
            here = self.node(hop["address"], "router", hop.get("name"))
            self.edge(before, here, silent_hops=silent, black_hole=hop["ttl"] == hole.get("next_ttl"))
            before, silent = here, 0
        target = self.node(outcome["address"], "destination", outcome["item"])
        if before != target and not (outcome["arrived"] and outcome["hops"]):
            self.edge(before, target, silent_hops=silent, arrived=False)
        elif before != target:
            # It answered by another one of its addresses.
            self.edge(before, target)

    def edge(
        self,
        source: str,
        target: str,
        kind: str = "path",
        silent_hops: int = 0,
        arrived: bool = True,
        black_hole: bool = False,
    ) -> None:
        """Enter that a path leads from ``source`` to ``target``; none from a node to itself."""
        if source == target:
            return
        known = {"paths": 0, "silent_hops": silent_hops, "arrived": False, "black_hole": False}
        edge = self._edges.setdefault(
            (source, target, kind), {"source": source, "target": target, "kind": kind, **known}
        )
        edge["paths"] += kind == "path"
        edge["silent_hops"] = min(edge["silent_hops"], silent_hops)
        edge["arrived"] = edge["arrived"] or arrived
        edge["black_hole"] = edge["black_hole"] or black_hole
