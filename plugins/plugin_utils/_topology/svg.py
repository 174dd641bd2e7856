# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A layered drawing of a graph as SVG: what is farther from the first host is farther to the right.

The layers are distances (breadth first), so an edge joins neighbouring layers or two nodes of one layer. In a layer,
nodes are put near the middle of what they are joined to (the barycentre heuristic of Sugiyama, Tagawa and Toda, 1981).
"""

from __future__ import annotations

from collections import defaultdict
from xml.sax.saxutils import escape

from .text import printable

__all__ = ["draw_svg"]

_SWEEPS = 4
_LETTER = 7.3
"""Width in pixels that a letter of 12 pixels takes at most, nearly always."""
_LINE, _PADDING, _MARGIN, _ROW, _GAP = 15, 10, 20, 56, 90
_FILLS = {"host": "#cfe3f7", "router": "#f3f3f3", "destination": "#dff0d8", "neighbour": "#ffffff"}


def draw_svg(graph: dict) -> str:
    """Return a drawing of ``graph``, as ``build_graph`` returns it."""
    nodes = {node["id"]: node for node in graph["nodes"]}
    joined: dict[str, set[str]] = defaultdict(set)
    for edge in graph["edges"]:
        joined[edge["source"]].add(edge["target"])
        joined[edge["target"]].add(edge["source"])
    boxes = _place(nodes, _order(_layers(nodes, joined), joined))
    width = max((box.right for box in boxes.values()), default=0) + _MARGIN + _GAP // 2
    height = max((box.middle for box in boxes.values()), default=0) + _ROW
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} font-family="sans-serif" font-size="12">',
        "<title>Network topology</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *(_edge(edge, boxes) for edge in graph["edges"]),
        *(_node(node, boxes[name]) for name, node in nodes.items()),
        "</svg>",
        "",
    ]
    return "\n".join(parts)


class _Box:
    """Where a node is drawn, in pixels."""

    def __init__(self, left: float, middle: float, lines: list[str]) -> None:
        self.left = left
        self.middle = middle
        self.lines = lines
        self.right = left + _LETTER * max(len(line) for line in lines) + 2 * _PADDING
        self.high = _LINE * len(lines) + _PADDING


def _layers(nodes: dict[str, dict], joined: dict[str, set[str]]) -> list[list[str]]:
    """Return the nodes by their distance from the first host; parts that are not joined begin anew at the left."""
    layers: list[list[str]] = []
    seen: set[str] = set()
    for start in sorted(nodes, key=lambda name: nodes[name]["kind"] != "host"):
        layer = [] if start in seen else [start]
        depth = 0
        while layer:
            seen.update(layer)
            if depth == len(layers):
                layers.append([])
            layers[depth] += layer
            layer = list(dict.fromkeys(near for name in layer for near in sorted(joined[name]) if near not in seen))
            depth += 1
    return layers


def _order(layers: list[list[str]], joined: dict[str, set[str]]) -> list[list[str]]:
    """Return the layers, each in an order with fewer crossings."""
    rows = {name: float(row) for layer in layers for row, name in enumerate(layer)}
    for _sweep in range(_SWEEPS):
        for number, layer in enumerate(layers):
            near = {*layers[number - 1], *(layers[number + 1] if number + 1 < len(layers) else [])} - set(layer)
            middles = {}
            for name in layer:
                places = [rows[other] for other in joined[name] if other in near]
                middles[name] = sum(places) / len(places) if places else rows[name]
            layer.sort(key=middles.__getitem__)
            rows.update((name, float(row)) for row, name in enumerate(layer))
    return layers


def _place(nodes: dict[str, dict], layers: list[list[str]]) -> dict[str, _Box]:
    """Return the boxes of all nodes: a column for each layer, centred."""
    boxes: dict[str, _Box] = {}
    left = float(_MARGIN)
    most = max((len(layer) for layer in layers), default=0)
    for layer in layers:
        top = _MARGIN + (most - len(layer)) * _ROW / 2
        column = {
            name: _Box(left, top + (row + 0.5) * _ROW, printable(nodes[name]["label"]).split("\n"))
            for row, name in enumerate(layer)
        }
        boxes.update(column)
        left = max(box.right for box in column.values()) + _GAP
    return boxes


def _node(node: dict, box: _Box) -> str:
    top = box.middle - box.high / 2
    first = box.middle - (len(box.lines) - 1) * _LINE / 2 + 4
    text = "".join(
        f'<text x="{(box.left + box.right) / 2:g}" y="{first + number * _LINE:g}" text-anchor="middle">'
        f"{escape(line)}</text>"
        for number, line in enumerate(box.lines)
    )
    return (
        f"<g><title>{escape(printable(node['kind'] + ' ' + ' '.join(node['addresses'])))}</title>"
        f'<rect x="{box.left:g}" y="{top:g}" width="{box.right - box.left:g}" height="{box.high:g}" rx="5" '
        f'fill="{_FILLS[node["kind"]]}" stroke="#555555"/>{text}</g>'
    )


def _edge(edge: dict, boxes: dict[str, _Box]) -> str:
    one, other = sorted((boxes[edge["source"]], boxes[edge["target"]]), key=lambda box: box.left)
    color = "#cc0000" if edge["black_hole"] else "#555555"
    dashes = "2 3" if edge["kind"] == "neighbour" else "" if edge["arrived"] else "6 4"
    if one.left == other.left:
        out = max(one.right, other.right) + _GAP / 2
        ends = f"C{out:g} {one.middle:g} {out:g} {other.middle:g} {other.right:g} {other.middle:g}"
        label = (out, (one.middle + other.middle) / 2)
    else:
        ends = f"L{other.left:g} {other.middle:g}"
        label = ((one.right + other.left) / 2, (one.middle + other.middle) / 2 - 4)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    drawn = f'<path d="M{one.right:g} {one.middle:g} {ends}" fill="none" stroke="{color}"{dashed}/>'
    if edge["silent_hops"]:
        drawn += f'<text x="{label[0]:g}" y="{label[1]:g}" text-anchor="middle">{edge["silent_hops"]} silent</text>'
    return drawn
