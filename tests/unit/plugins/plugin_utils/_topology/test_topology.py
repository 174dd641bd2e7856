# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drawings of paths: what is joined, and that hostile names stay text. Judged by Graphviz and an XML parser."""

from __future__ import annotations

import json
import re
import subprocess
from xml.etree import ElementTree

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.filter.network_topology import FilterModule

topology = FilterModule().filters()["network_topology"]
SVG = "{http://www.w3.org/2000/svg}"


def hop(ttl: int, address: str | None, name: str | None = None) -> dict:
    return {"ttl": ttl, "address": address, "name": name}


def path(item: str, address: str, hops: list[str | None], arrived: bool = True, hole: int | None = None) -> dict:
    black_hole = {"next_ttl": hole} if hole else None
    listed = [hop(ttl, one) for ttl, one in enumerate(hops, 1)]
    return {"item": item, "address": address, "hops": listed, "arrived": arrived, "mtu": {"black_hole": black_hole}}


def result(name: str, address: str, *paths: dict, neighbours: list | None = None) -> dict:
    vantage = {"hostname": name, "addresses": [address]}
    return {"outcomes": list(paths), "vantage": vantage, "neighbours": neighbours or []}


WEB = result(
    "web01",
    "192.0.2.7",
    path("db01", "198.51.100.8", ["192.0.2.1", None, "198.51.100.8"]),
    path("www.example.com", "203.0.113.80", ["192.0.2.1", "203.0.113.1", "203.0.113.80"], hole=3),
    path("gone.example.com", "203.0.113.99", ["192.0.2.1", "203.0.113.1"], arrived=False),
    {"item": "unknown", "failed": True},
    neighbours=[
        {"address": "192.0.2.1", "state": "reachable"},
        {"address": "192.0.2.9", "state": "stale"},
        {"address": "192.0.2.10", "state": "failed"},
    ],
)
DB = result("db01", "198.51.100.8", path("192.0.2.7", "192.0.2.7", ["198.51.100.1", "192.0.2.7"]))


def edges(graph: dict) -> dict[tuple[str, str], dict]:
    return {(edge["source"], edge["target"]): edge for edge in graph["edges"]}


def dot(text: str) -> dict:
    done = subprocess.run(["dot", "-Tjson0"], input=text, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_hosts_routers_and_destinations_become_one_graph():
    graph = topology([WEB, DB])
    assert {node["id"]: node["kind"] for node in graph["nodes"]} == {
        "web01": "host",
        "db01": "host",
        "192.0.2.1": "router",
        "203.0.113.1": "router",
        "203.0.113.80": "destination",
        "203.0.113.99": "destination",
        "198.51.100.1": "router",
    }
    found = edges(graph)
    assert found["web01", "192.0.2.1"]["paths"] == 3
    assert found["192.0.2.1", "db01"]["silent_hops"] == 1
    assert found["203.0.113.1", "203.0.113.80"]["black_hole"] is True
    assert found["203.0.113.1", "203.0.113.99"]["arrived"] is False
    assert ("198.51.100.1", "web01") in found
    labels = {node["id"]: node["label"] for node in graph["nodes"]}
    assert labels["203.0.113.80"] == "www.example.com\n203.0.113.80"


def test_neighbours_are_there_on_request():
    graph = topology([WEB], neighbours=True)
    kinds = [edge["kind"] for edge in graph["edges"]]
    assert kinds.count("neighbour") == 2
    assert {node["id"] for node in graph["nodes"]} >= {"192.0.2.9"}
    assert "192.0.2.10" not in topology([WEB], "json", neighbours=True)


def test_hosts_may_be_named():
    graph = topology({"a": WEB, "b": {**DB, "vantage": WEB["vantage"]}})
    assert [node["id"] for node in graph["nodes"] if node["kind"] == "host"] == ["a", "b"]


def test_graphviz_and_an_xml_parser_read_the_drawings():
    graph = topology([WEB, DB], neighbours=True)
    drawn = dot(topology([WEB, DB], "dot", neighbours=True))
    assert {node["name"] for node in drawn["objects"]} == {node["id"] for node in graph["nodes"]}
    assert len(drawn["edges"]) == len(graph["edges"])
    assert json.loads(topology([WEB, DB], "json", neighbours=True)) == graph
    root = ElementTree.fromstring(topology([WEB, DB], "svg", neighbours=True))
    assert root.tag == f"{SVG}svg"
    assert len(root.findall(f"{SVG}g")) == len(graph["nodes"])
    assert len(root.findall(f"{SVG}path")) == len(graph["edges"])


def test_boxes_lie_inside_of_the_drawing_and_on_no_other():
    routers = [f"10.0.{number}.1" for number in range(12)]
    many = result(
        "a", "10.9.9.9", *(path(f"h{one}", f"10.1.{one[5:-2]}.9", [one, f"10.1.{one[5:-2]}.9"]) for one in routers)
    )
    root = ElementTree.fromstring(topology([many], "svg"))
    width, height = float(root.get("width")), float(root.get("height"))
    boxes = []
    for group in root.findall(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        left, top, wide, high = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
        assert 0 <= left <= left + wide <= width
        assert 0 <= top <= top + high <= height
        for other in boxes:
            assert left >= other[2] or left + wide <= other[0] or top >= other[3] or top + high <= other[1]
        boxes.append((left, top, left + wide, top + high))
    assert len(boxes) == 25
    assert len({box[0] for box in boxes}) == 3


def test_nothing_becomes_an_empty_drawing():
    assert topology([]) == {"nodes": [], "edges": []}
    assert dot(topology([], "dot"))["name"] == "network"
    ElementTree.fromstring(topology([], "svg"))


names = st.text(min_size=1, max_size=20) | st.sampled_from(
    [
        '"];evil[',
        "\\N",
        "\\",
        '"',
        "<b>&amp;",
        "</svg><script>alert(1)</script>",
        "\x00\x1b[31m",
        "\ud800",
        "]]>",
        "graph",
    ]
)


@settings(max_examples=60)
@given(names, names, names)
def test_hostile_names_stay_text(hostname, item, router):
    listed = path(item, "192.0.2.80", ["192.0.2.1", "192.0.2.80"])
    listed["hops"][0]["name"] = router
    results = [result(hostname, "192.0.2.7", listed)]
    count = len(topology(results)["nodes"])
    root = ElementTree.fromstring(topology(results, "svg"))
    assert {element.tag for element in root.iter()} <= {
        SVG + tag for tag in ("svg", "title", "rect", "path", "g", "text")
    }
    assert len(root.findall(f"{SVG}g")) == count
    source = topology(results, "dot")
    # Without its quoted strings, only what we wrote is left.
    bare = re.sub(r'"(?:\\.|[^"\\])*"', "Q", source)
    assert re.fullmatch(r"digraph network \{\n  rankdir=LR;\n(?:  Q(?: -> Q)? \[[a-zQ=, ]*\];\n)+\}\n", bare)
    assert len(dot(source)["objects"]) == count


@pytest.mark.parametrize(
    ("given_results", "form", "says"),
    [
        ("text", "data", "takes a list of results"),
        (3, "data", "takes a list of results"),
        (WEB, "data", "takes a list of results"),
        ([{"ping": "pong"}], "data", "an entry is no result"),
        ({"web01": {"skipped": True}}, "svg", "web01 is no result"),
        ([WEB], "png", "'png' is none of data, json, dot, svg"),
    ],
)
def test_what_can_not_be_drawn_is_told(given_results, form, says):
    with pytest.raises(AnsibleFilterError, match=says):
        topology(given_results, form)
