# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packets to this machine itself and the answers of its kernel; options that can't be used."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError, ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._network.path.destinations import resolve_all
from ansible_collections.scripts.toolkit.plugins.module_utils._network.path.flight import PORT_SPAN, Flight
from ansible_collections.scripts.toolkit.plugins.module_utils._network.path.kernel import Kernel
from ansible_collections.scripts.toolkit.plugins.module_utils._network.path.mtu import discover_mtu
from ansible_collections.scripts.toolkit.plugins.module_utils._network.path.report import path_info
from ansible_collections.scripts.toolkit.plugins.module_utils._network.path.trace import trace

LOOPBACK = {4: (socket.AF_INET, ("127.0.0.1", 0)), 6: (socket.AF_INET6, ("::1", 0, 0, 0))}
PORT = 40000
SPEC = {
    "destinations": {"type": "list", "elements": "str", "required": True},
    "ip_version": {"default": "any"},
    "max_hops": {"type": "int", "default": 30},
    "probes": {"type": "int", "default": 3},
    "timeout": {"type": "float", "default": 1.0},
    "max_silent_hops": {"type": "int", "default": 8},
    "port": {"type": "int", "default": PORT},
    "mtu": {"type": "bool", "default": True},
    "resolve_names": {"type": "bool", "default": False},
    "parallel": {"type": "int", "default": 100},
}


class Runner:
    """Runs programs as AnsibleModule.run_command does, and counts them."""

    def __init__(self) -> None:
        self.argvs: list[list[str]] = []

    def __call__(self, args, data=None, **_options) -> tuple[int, str, str]:
        self.argvs.append(args)
        done = subprocess.run(args, input=data, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr


def info(runner: Runner | None = None, **given) -> dict:
    checked = ArgumentSpecValidator(SPEC).validate(given)
    assert not checked.error_messages
    return path_info(checked.validated_parameters, Commands(runner or Runner()))


def fly(version: int, work):
    """Return what the coroutine function ``work(flight)`` returns."""

    async def run():
        with Flight(*LOOPBACK[version], PORT, 2.0) as flight:
            return await work(flight)

    return asyncio.run(run())


@pytest.mark.parametrize("version", [4, 6])
def test_a_closed_port_answers_for_its_host(version):
    reply = fly(version, lambda flight: flight.send())
    assert (reply.kind, reply.address) == ("arrived", LOOPBACK[version][1][0])
    assert 0 < reply.rtt_ms < 2000


def test_a_service_that_listens_on_the_port_answers_as_well():
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            self.transport.sendto(data, addr)

    async def run(flight):
        loop = asyncio.get_running_loop()
        transport, _protocol = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", PORT))
        try:
            return await flight.send()
        finally:
            transport.close()

    assert fly(4, run).kind == "arrived"


@pytest.mark.parametrize("version", [4, 6])
def test_answers_find_their_packets_although_many_are_under_way(version):
    async def run(flight):
        return await asyncio.gather(*(flight.send(size=60 + number) for number in range(PORT_SPAN)))

    assert {reply.kind for reply in fly(version, run) if reply} == {"arrived"}


@pytest.mark.parametrize("version", [4, 6])
def test_a_packet_that_the_kernel_refuses_is_too_big(version):
    reply = fly(version, lambda flight: flight.send(size=70000))
    assert (reply.kind, reply.address) == ("too_big", None)


@pytest.mark.parametrize("version", [4, 6])
def test_this_host_is_one_hop_away_and_takes_the_largest_packets(version):
    async def run(flight):
        traced = await trace(flight, max_hops=5, probes=2, max_silent_hops=3)
        return traced, await discover_mtu(flight, 65536, traced)

    traced, mtu = fly(version, run)
    (hop,) = [hop.as_dict() for hop in traced.hops]
    assert (hop["ttl"], hop["address"], hop["answer"], hop["sent"]) == (1, LOOPBACK[version][1][0], "arrived", 2)
    assert (traced.arrived, mtu["status"], mtu["bytes"]) == (True, "found", 65535)


def test_two_hundred_destinations_take_three_programs():
    runner = Runner()
    addresses = [f"127.0.0.{number}" for number in range(1, 201)]
    result = info(runner, destinations=addresses)
    assert [outcome["item"] for outcome in result["outcomes"]] == addresses
    assert all(outcome["arrived"] and outcome["route"]["local"] for outcome in result["outcomes"])
    assert all(outcome["hops"][0]["address"] == outcome["item"] for outcome in result["outcomes"])
    assert len(runner.argvs) == 3
    assert result["changed"] is False


def test_addresses_and_neighbours_are_those_of_ip():
    kernel = Kernel(Commands(Runner()))
    links = json.loads(subprocess.run(["ip", "-json", "address"], capture_output=True, check=True).stdout)
    told = [address["local"] for link in links for address in link.get("addr_info", []) if address["scope"] == "global"]
    assert kernel.addresses() == told
    assert kernel.routes([]) == []


def test_what_can_be_done_is_done_and_the_rest_is_named():
    result = info(destinations=["127.0.0.1", "10.0.0.256", "-rf", "a..b", "::1"], mtu=False)
    assert result["failed"] is True
    assert [outcome.get("error", {}).get("kind") for outcome in result["outcomes"]] == [
        None,
        "validation",
        "validation",
        "validation",
        None,
    ]
    assert result["error"]["item"] == "10.0.0.256"
    assert "destinations" in result["error"]["message"]
    assert "-rf" in result["msg"]


@pytest.mark.parametrize(
    ("name", "version", "says"),
    [("127.0.0.1", "6", "'127.0.0.1' has no IPv6 address"), ("::1", "4", "'::1' has no IPv4 address")],
)
def test_an_address_of_the_other_version_is_told(name, version, says):
    (found,) = resolve_all([name], "destinations", version)
    assert isinstance(found, ToolkitError)
    assert found.kind == "not_found"
    assert says in found.message
    assert "ip_version" in found.hint


def test_a_name_leads_to_its_addresses():
    (found,) = resolve_all(["localhost"], "destinations", "4")
    assert (found.address, found.family) == ("127.0.0.1", socket.AF_INET)


@pytest.mark.parametrize(
    "wrong",
    [
        {"destinations": []},
        {"max_hops": 0},
        {"max_hops": 256},
        {"probes": 11},
        {"port": 0},
        {"port": 65025},
        {"timeout": 0.0},
        {"parallel": 501},
        {"max_silent_hops": 0},
    ],
    ids=str,
)
def test_options_out_of_range_are_refused_before_anything_runs(wrong):
    runner = Runner()
    with pytest.raises(ValidationError) as caught:
        info(runner, **{"destinations": ["127.0.0.1"], **wrong})
    assert next(iter(wrong)) in caught.value.message
    assert runner.argvs == []
