# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""network_performance_info over two routers, judged by ping and iperf3 on the same path."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys

import pytest
import yaml
from namespaces import COLLECTIONS, Chain, result_of

TOKEN = "a-random-text-of-32-characters-01"
SERVER = {"role": "server", "address": Chain.far[4], "token": TOKEN, "seconds": 1}
CLIENT = {**SERVER, "role": "client"}


@pytest.fixture(scope="module")
def chain():
    with Chain() as made:
        yield made


def bandwidth(chain, client: dict, server: dict | None = None) -> tuple[dict, dict]:
    """Run both sides, the server as ``SERVER`` says if nothing else is said; return its and the client's result."""
    started = chain.start("b", "network_performance_info", bandwidth=server or SERVER)
    asked = chain.module("a", "network_performance_info", bandwidth=client)
    return result_of(started), asked


def received(ping: str) -> int:
    return int(re.search(r"(\d+) received", ping)[1])


def test_nothing_is_lost_and_the_times_are_those_of_ping(chain):
    targets = [{"address": address, "name": f"IPv{version}"} for version, address in Chain.far.items()]
    result = chain.module("a", "network_performance_info", targets=targets, count=50, interval=0.01)
    for version, outcome in zip(Chain.far, result["outcomes"]):
        assert (outcome["item"], outcome["method"]) == (f"IPv{version}", "icmp")
        assert (outcome["sent"], outcome["received"], outcome["lost"], outcome["errors"]) == (50, 50, 0, {})
        ping = chain.run("a", "ping", f"-{version}", "-n", "-c", "50", "-i", "0.01", Chain.far[version])
        assert received(ping) == 50
        least = float(re.search(r"rtt min/avg/max/mdev = ([\d.]+)/", ping)[1])
        # The path takes some 0.1 ms; what is beyond it is the load of this machine.
        assert least / 5 < outcome["rtt_ms"]["min"] < least * 5
        times = outcome["rtt_ms"]
        assert times["min"] <= times["median"] <= times["p95"] <= times["p99"] <= times["max"]


def test_loss_of_one_direction_is_that_of_ping(chain):
    chain.nft("b", "output", "icmp type echo-reply numgen random mod 100 < 30 drop")
    count = 500
    (outcome,) = chain.module(
        "a",
        "network_performance_info",
        targets=[{"address": Chain.far[4]}],
        count=count,
        interval=0.002,
        timeout=0.5,
    )["outcomes"]
    ping = chain.run("a", "ping", "-n", "-c", str(count), "-i", "0.002", "-W", "1", Chain.far[4])
    chain.nft("b")
    # 30 % with five standard deviations of such a series.
    for lost in (outcome["lost"], count - received(ping)):
        assert 98 <= lost <= 202
    assert outcome["errors"] == {"timeout": outcome["lost"]}
    assert outcome["loss_percent"] == round(outcome["lost"] * 100 / count, 2)


def test_exactly_each_fourth_is_lost(chain):
    chain.nft("b", "output", "icmp type echo-reply numgen inc mod 4 == 3 drop")
    (outcome,) = chain.module(
        "a", "network_performance_info", targets=[{"address": Chain.far[4]}], count=40, interval=0.005, timeout=0.5
    )["outcomes"]
    chain.nft("b")
    assert (outcome["received"], outcome["lost"], outcome["loss_percent"]) == (30, 10, 25.0)


def test_why_targets_do_not_answer_is_told(chain):
    chain.nft("b", "input", "tcp dport 2222 drop")
    listener = subprocess.Popen(chain.argv("b", ["iperf3", "--server", "--port", "3333"]), stdout=subprocess.DEVNULL)
    targets = [
        {"address": Chain.far[4], "port": 2222},
        {"address": Chain.far[4], "port": 1},
        {"address": Chain.far[4], "port": 3333},
        {"address": Chain.far[6], "port": 1},
        {"address": "203.0.113.1"},
    ]
    try:
        result = chain.module("a", "network_performance_info", targets=targets, count=3, timeout=0.5)
    finally:
        listener.kill()
        listener.wait()
        chain.nft("b")
    reasons = [outcome["errors"] for outcome in result["outcomes"]]
    assert reasons == [{"timeout": 3}, {"refused": 3}, {}, {"refused": 3}, {"network_unreachable": 3}]
    assert [outcome["method"] for outcome in result["outcomes"]] == ["tcp"] * 4 + ["icmp"]


def test_few_descriptors_are_enough_for_many_connections_that_wait(chain):
    chain.nft("b", "input", "tcp dport 2222 drop")
    targets = [{"address": Chain.far[4], "port": 2222}] * 60
    wished = {"targets": targets, "count": 10, "interval": 0.01, "timeout": 0.3}
    result = chain.module("a", "network_performance_info", files=256, **wished)
    chain.nft("b")
    assert [outcome["errors"] for outcome in result["outcomes"]] == [{"timeout": 10}] * 60


@pytest.mark.parametrize("direction", ["upload", "download"])
def test_bandwidth_is_of_the_order_of_iperf3(chain, direction):
    server = subprocess.Popen(chain.argv("b", ["iperf3", "-s", "-1", "-p", "5999"]), stdout=subprocess.DEVNULL)
    chain.run("b", "sh", "-c", "until ss -ltn | grep -q :5999; do sleep 0.1; done")
    reverse = ["-R"] if direction == "download" else []
    judge = json.loads(chain.run("a", "iperf3", "-c", Chain.far[4], "-p", "5999", "-t", "1", "-J", *reverse))
    server.wait()
    expected = judge["end"]["sum_received"]["bits_per_second"]
    for tool in ("iperf3", "builtin"):
        served, asked = bandwidth(chain, {**CLIENT, "direction": direction, "tool": tool})
        for side, role, peer in ((served, "server", "10.209.1.1"), (asked, "client", Chain.far[4])):
            found = side["bandwidth"]
            assert (found["role"], found["tool"], found["direction"]) == (role, tool, direction)
            assert found["peer"] == peer
            assert expected / 10 < found["bits_per_second"] < expected * 10
        same = ("bytes", "seconds", "bits_per_second")
        assert [served["bandwidth"][key] for key in same] == [asked["bandwidth"][key] for key in same]


def test_iperf3_is_left_out_where_only_one_side_may_use_it(chain):
    _served, asked = bandwidth(chain, CLIENT, {**SERVER, "tool": "builtin"})
    assert asked["bandwidth"]["tool"] == "builtin"
    served, asked = bandwidth(chain, {**CLIENT, "tool": "iperf3"}, {**SERVER, "tool": "builtin"})
    assert (asked["failed"], asked["error"]["kind"]) == (True, "dependency")
    assert (served["failed"], served["error"]["kind"]) == (True, "unavailable")


def test_a_limited_link_is_measured_as_limited(chain):
    """The firewall lets 2,000,000 bytes a second through; both tools find about that."""
    chain.nft("b", "input", "tcp dport 5201 limit rate over 2000 kbytes/second burst 100 kbytes drop")
    rates = {}
    for tool in ("iperf3", "builtin"):
        _served, asked = bandwidth(chain, {**CLIENT, "tool": tool, "seconds": 2}, {**SERVER, "seconds": 2})
        rates[tool] = asked["bandwidth"]["bits_per_second"]
    chain.nft("b")
    assert all(4_000_000 < rate < 40_000_000 for rate in rates.values()), rates


def test_a_play_runs_both_sides_in_one_task(chain, tmp_path):
    """As docs/network-performance.md shows it, with two hosts that are the two namespaces."""
    page = (COLLECTIONS / "ansible_collections/scripts/toolkit/docs/network-performance.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)]
    (play,) = (block for block in blocks if "hosts" in block[0])
    keep = {"name": "Keep it", "ansible.builtin.copy": {"dest": str(tmp_path / "{{ inventory_hostname }}.json")}}
    keep["ansible.builtin.copy"].update(content="{{ bandwidth }}", mode="0600")
    play[0]["tasks"].append(keep)
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play))
    hosts = {}
    for name, host, address in (("a", "web01", "10.209.1.1"), ("b", "db01", Chain.far[4])):
        python = tmp_path / f"python-{name}"
        python.write_text(f'#!/bin/sh\nexec {" ".join(chain.argv(name, [sys.executable]))} "$@"\n')
        python.chmod(stat.S_IRWXU)
        hosts[host] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(python),
            "bandwidth_address": address,
        }
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_LOCALHOST_WARNING": "false"}
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.yml", "play.yml"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    served, asked = (json.loads((tmp_path / f"{host}.json").read_text())["bandwidth"] for host in ("db01", "web01"))
    assert (served["role"], asked["role"]) == ("server", "client")
    assert served["bytes"] == asked["bytes"] > 0
    assert "a-random" not in done.stdout
