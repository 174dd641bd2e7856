# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""network_path_info over two routers, judged by traceroute, tracepath, ping and ip on the same path."""

from __future__ import annotations

import json
import re
import subprocess
from xml.etree import ElementTree

import pytest
from namespaces import Chain

from ansible_collections.scripts.toolkit.plugins.filter.network_topology import FilterModule

topology = FilterModule().filters()["network_topology"]
BOTH = list(Chain.far.values())


@pytest.fixture(scope="module")
def chain():
    with Chain() as made:
        yield made


@pytest.fixture(scope="module")
def healthy(chain) -> dict:
    """What is found before anything is broken, of both IP versions, from both ends."""
    forth = chain.module("a", "network_path_info", destinations=[*BOTH, "10.209.1.2"])
    back = chain.module("b", "network_path_info", destinations=["10.209.1.1", "fd09:1::1"])
    return {"a": forth, "b": back}


@pytest.fixture
def small_link(chain):
    """The last link takes 1,400 bytes."""
    chain.ip("r2", "link", "set", "right", "mtu", "1400")
    chain.ip("b", "link", "set", "left", "mtu", "1400")
    yield
    chain.ip("r2", "link", "set", "right", "mtu", "1500")
    chain.ip("b", "link", "set", "left", "mtu", "1500")


@pytest.fixture
def silent_router(chain):
    """The router before that link does not say when packets are too big."""
    chain.nft("r2", "output", "icmp type 3 icmp code 4 drop", "icmpv6 type packet-too-big drop")
    yield
    chain.nft("r2")


@pytest.mark.parametrize(("number", "version"), [(0, 4), (1, 6)])
def test_hops_are_those_of_traceroute_and_tracepath(chain, healthy, number, version):
    outcome = healthy["a"]["outcomes"][number]
    found = [hop["address"] for hop in outcome["hops"]]
    traceroute = chain.run("a", "traceroute", f"-{version}", "-n", "-q", "1", "-N", "1", Chain.far[version])
    assert re.findall(r"^ *\d+ +([0-9a-f.:]+) ", traceroute, re.MULTILINE) == found
    tracepath = chain.run("a", "tracepath", f"-{version}", "-n", Chain.far[version])
    told = re.findall(r"^ *(\d+): +([0-9a-f][0-9a-f.:]+) ", tracepath, re.MULTILINE)
    assert [address for _ttl, address in sorted(set(told))] == found
    assert found == Chain.hops[version]
    assert (outcome["arrived"], outcome["end"]) == (True, "arrived")
    assert all(hop["sent"] == 3 and len(hop["rtts_ms"]) + hop["lost"] == 3 for hop in outcome["hops"])


def test_routes_neighbours_and_addresses_are_those_of_ip(chain, healthy):
    for outcome in healthy["a"]["outcomes"]:
        (told,) = json.loads(chain.ip("a", "-json", "route", "get", outcome["address"]))
        assert outcome["route"]["device"] == told["dev"]
        assert outcome["route"]["source"] == told["prefsrc"]
        assert outcome["route"]["gateway"] == told.get("gateway")
    told = {(entry["dst"], entry.get("lladdr")) for entry in json.loads(chain.ip("a", "-json", "neighbour"))}
    assert {(entry["address"], entry["link_address"]) for entry in healthy["a"]["neighbours"]} <= told
    assert {"10.209.1.2", "fd09:1::2"} <= {entry["address"] for entry in healthy["a"]["neighbours"]}
    assert healthy["a"]["vantage"]["addresses"] == ["10.209.1.1", "fd09:1::1"]


def test_whole_packets_arrive_on_a_healthy_path(healthy):
    for result in healthy.values():
        assert [outcome["mtu"]["status"] for outcome in result["outcomes"]] == ["found"] * len(result["outcomes"])
        assert {outcome["mtu"]["bytes"] for outcome in result["outcomes"]} == {1500}


def test_the_path_mtu_is_that_of_tracepath(chain, small_link):
    outcomes = chain.module("a", "network_path_info", destinations=BOTH)["outcomes"]
    for version, outcome in zip((4, 6), outcomes):
        tracepath = chain.run("a", "tracepath", f"-{version}", "-n", Chain.far[version])
        assert re.search(r"Resume: pmtu (\d+)", tracepath)[1] == str(outcome["mtu"]["bytes"]) == "1400"
        assert outcome["mtu"]["status"] == "found"
        assert outcome["mtu"]["limits"] == [{"address": Chain.hops[version][1], "bytes": 1400}]


def test_a_black_hole_is_found_with_its_size_and_place(chain, small_link, silent_router):
    # As sparing of answers as Linux is without being told otherwise.
    chain.limit_errors(1000)
    result = chain.module("a", "network_path_info", destinations=[*BOTH, "10.209.2.2"])
    chain.limit_errors(0)
    for version, headers, outcome in zip((4, 6), (28, 48), result["outcomes"]):
        mtu = outcome["mtu"]
        assert (mtu["status"], mtu["bytes"], mtu["limits"]) == ("black_hole", 1400, [])
        assert mtu["black_hole"] == {
            "from_bytes": 1401,
            "last_ttl": 2,
            "last_address": Chain.hops[version][1],
            "next_ttl": 3,
            "next_address": Chain.hops[version][2],
        }
        ping = ["ping", f"-{version}", "-n", "-M", "do", "-c", "2", "-i", "0.2", "-W", "1", "-s"]
        assert " 2 received" in chain.run("a", *ping, str(1400 - headers), Chain.far[version])
        assert " 0 received" in chain.run("a", *ping, str(1401 - headers), Chain.far[version], ok=False)
    assert result["outcomes"][2]["mtu"]["status"] == "found"
    red = [edge for edge in topology({"a": result})["edges"] if edge["black_hole"]]
    assert [(edge["source"], edge["target"]) for edge in red] == [
        (Chain.hops[version][1], Chain.hops[version][2]) for version in (4, 6)
    ]


def test_sparing_and_lost_answers_are_no_black_hole(chain):
    """The destination has used up its answers again and again, and then a tenth of them is lost."""
    wished = {"destinations": ["10.209.3.2", "10.209.1.2", "fd09:1::2"], "timeout": 0.4, "probes": 4}
    chain.limit_errors(1000)
    results = [chain.module("a", "network_path_info", **wished) for _time in range(3)]
    chain.limit_errors(0)
    chain.nft("b", "output", "ip protocol icmp numgen random mod 100 < 10 drop")
    results += [chain.module("a", "network_path_info", **wished) for _time in range(3)]
    chain.nft("b")
    for result in results:
        for outcome, distance in zip(result["outcomes"], (3, 1, 1)):
            assert (outcome["mtu"]["status"], outcome["mtu"]["bytes"]) == ("found", 1500)
            assert (outcome["arrived"], len(outcome["hops"])) == (True, distance)


def test_what_ends_a_path_is_told(chain):
    chain.nft("r2", "forward", "ip daddr 10.209.3.2 reject with icmp type admin-prohibited", "ip6 daddr fd09:3::2 drop")
    wished = {"destinations": [*BOTH, "10.209.77.1", "203.0.113.1", "2001:db8::1"], "mtu": False, "timeout": 0.5}
    result = chain.module("a", "network_path_info", **wished)
    chain.nft("r2")
    rejected, dropped, looped, *unroutable = result["outcomes"]
    assert [(hop["address"], hop["answer"]) for hop in rejected["hops"]] == [
        ("10.209.1.2", "time_exceeded"),
        ("10.209.2.2", "time_exceeded"),
        ("10.209.2.2", "prohibited"),
    ]
    assert (rejected["arrived"], rejected["end"]) == (False, "prohibited")
    assert (dropped["arrived"], dropped["end"], len(dropped["hops"])) == (False, "silence", 2)
    assert (looped["arrived"], looped["end"]) == (False, "max_hops")
    assert result["failed"] is True
    assert [one["error"]["kind"] for one in unroutable] == ["unavailable"] * 2
    assert "There is no route to 203.0.113.1: Network is unreachable." in result["msg"]
    assert "2001:db8::1" in result["msg"]


def test_this_hosts_own_firewall_is_told(chain):
    chain.nft("a", "output", "udp dport 33434-33945 drop")
    (outcome,) = chain.module("a", "network_path_info", destinations=["10.209.3.2"])["outcomes"]
    chain.nft("a")
    assert (outcome["end"], [hop["address"] for hop in outcome["hops"]]) == ("prohibited", [None])
    assert outcome["mtu"]["status"] == "unanswered"


def test_lost_answers_are_counted(chain):
    chain.nft("r1", "output", "ip protocol icmp drop")
    (outcome,) = chain.module("a", "network_path_info", destinations=["10.209.3.2"], mtu=False)["outcomes"]
    chain.nft("r1")
    silent, *others = outcome["hops"]
    assert (silent["ttl"], silent["address"], silent["sent"], silent["lost"]) == (1, None, 3, 3)
    assert [hop["address"] for hop in others] == Chain.hops[4][1:]
    edge = topology({"a": {"outcomes": [outcome], "vantage": {"hostname": "a"}}})["edges"][0]
    assert (edge["source"], edge["target"], edge["silent_hops"]) == ("a", "10.209.2.2", 1)


def test_one_drawing_of_what_both_ends_see(healthy):
    graph = topology(healthy)
    kinds = {node["id"]: node["kind"] for node in graph["nodes"]}
    assert (kinds["a"], kinds["b"]) == ("host", "host")
    assert not {"10.209.1.1", "10.209.3.2", "fd09:1::1", "fd09:3::2"} & set(kinds)
    joined = {(edge["source"], edge["target"]) for edge in graph["edges"]}
    assert {("a", "10.209.1.2"), ("10.209.2.2", "b"), ("b", "10.209.3.1"), ("10.209.2.1", "a")} <= joined
    parsed = subprocess.run(
        ["dot", "-Tjson0"], input=topology(healthy, "dot"), capture_output=True, text=True, check=True
    )
    drawn = json.loads(parsed.stdout)
    assert {node["name"] for node in drawn["objects"]} == set(kinds)
    assert len(drawn["edges"]) == len(graph["edges"])
    texts = [node.text for node in ElementTree.fromstring(topology(healthy, "svg")).iter() if node.text]
    assert {"a", "b", "10.209.1.2"} <= set(texts)
