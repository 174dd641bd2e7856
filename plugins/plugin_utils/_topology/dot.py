# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A graph in the language of Graphviz (https://graphviz.org/doc/info/lang.html)."""

from __future__ import annotations

from .text import printable

__all__ = ["draw_dot"]

_SHAPES = {"host": "box, style=filled", "router": "ellipse", "destination": "box", "neighbour": "box, style=dotted"}


def draw_dot(graph: dict) -> str:
    """Return the source text of a drawing of ``graph``, as ``build_graph`` returns it."""
    lines = ["digraph network {", "  rankdir=LR;"]
    for node in graph["nodes"]:
        lines.append(f"  {_quoted(node['id'])} [label={_quoted(node['label'])}, shape={_SHAPES[node['kind']]}];")
    for edge in graph["edges"]:
        looks = []
        if edge["silent_hops"]:
            looks.append(f"label={_quoted(str(edge['silent_hops']) + ' silent')}")
        if edge["kind"] == "neighbour":
            looks.append("style=dotted, dir=none")
        elif not edge["arrived"]:
            looks.append("style=dashed")
        if edge["black_hole"]:
            looks.append("color=red")
        lines.append(f"  {_quoted(edge['source'])} -> {_quoted(edge['target'])} [{', '.join(looks)}];")
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    r"""Return a quoted string; Graphviz would replace ``\N`` and the like in a label."""
    escaped = printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
