# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scans of real sockets on this machine."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from contextlib import ExitStack

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._firewall.sockets import listening, read_sockets
from ansible_collections.scripts.toolkit.plugins.module_utils._network.scan.request import SCAN_SPEC
from ansible_collections.scripts.toolkit.plugins.module_utils._network.scan.scan import scan


def no_command(args, **_kwargs):
    raise AssertionError(f"{args} was run.")


def ask(*targets, **options) -> dict:
    """Scan as the module does; without discovery unless it is asked for."""
    wishes = [{"address": target} if isinstance(target, str) else target for target in targets]
    checked = ArgumentSpecValidator(SCAN_SPEC).validate({"targets": wishes, "discovery": [], **options})
    assert not checked.error_messages
    return scan(checked.validated_parameters, Commands(no_command))


@pytest.fixture
def serve():
    """Return a function that listens on a port of 127.0.0.1 (or another address), and its number.

    ``tcp`` says something to each connection (``None``: nothing), and keeps what it is told in ``heard``;
    ``udp`` answers each datagram but the first ``deaf`` ones; without an answer, it is silent.
    """
    with ExitStack() as stack:

        def tcp(says: bytes | None = None, heard: list | None = None, address: str = "127.0.0.1") -> int:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            server = stack.enter_context(socket.socket(family))
            server.bind((address, 0))
            server.listen(50)
            threading.Thread(target=_accept, args=(server, says, heard), daemon=True).start()
            # A thread that waits in accept(2) keeps the socket open; shutdown(2) wakes it.
            stack.callback(server.shutdown, socket.SHUT_RDWR)
            return server.getsockname()[1]

        def udp(says: bytes | None = None, deaf: int = 0, heard: list | None = None) -> int:
            server = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            server.bind(("127.0.0.1", 0))
            server.settimeout(30)
            if says is not None:
                threading.Thread(target=_answer, args=(server, says, deaf, heard), daemon=True).start()
                stack.callback(lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", server.getsockname()))
            return server.getsockname()[1]

        tcp.udp = udp
        yield tcp


def _accept(server: socket.socket, says: bytes | None, heard: list | None) -> None:
    kept = []
    try:
        while True:
            connection, _peer = server.accept()
            kept.append(connection)
            if says is not None:
                connection.sendall(says)
            if heard is not None:
                connection.settimeout(5)
                heard.append(connection.recv(4096))
    except OSError:
        for connection in kept:
            connection.close()


def _answer(server: socket.socket, says: bytes, deaf: int, heard: list | None) -> None:
    try:
        while True:
            datagram, peer = server.recvfrom(4096)
            if heard is not None:
                heard.append(datagram)
            if deaf:
                deaf -= 1
            else:
                server.sendto(says, peer)
    except OSError:
        pass


def closed_port(kind: int = socket.SOCK_STREAM) -> int:
    """Return a port that nobody has."""
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_tcp_open_closed_and_filtered(serve) -> None:
    opened, shut = serve(), closed_port()
    with socket.socket() as full, ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # Where nobody accepts and the queue is full, the kernel drops what comes.
        for _number in range(3):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        dropped = full.getsockname()[1]
        wanted = [f"{port}" for port in (opened, shut, dropped)]
        result = ask("127.0.0.1", ports=[], expected=wanted, timeout=0.3)
    host = result["outcomes"][0]
    assert host["counts"] == {"open": 1, "closed": 1, "filtered": 1, "open_or_filtered": 0}
    assert [port["port"] for port in host["ports"]] == [opened]
    assert {one["port"]: one["found"] for one in result["violations"]} == {shut: "closed", dropped: "filtered"}
    assert host["up"]
    assert host["answered_by"] == "tcp"


def test_udp_states_and_a_second_try(serve) -> None:
    answers, flaky, silent, shut = serve.udp(b"x"), serve.udp(b"x", deaf=1), serve.udp(), closed_port(socket.SOCK_DGRAM)
    ports = [f"{port}/udp" for port in (answers, flaky, silent, shut)]
    result = ask("127.0.0.1", ports=ports, expected=ports, timeout=0.2)
    counts = {"open": 2, "closed": 1, "filtered": 0, "open_or_filtered": 1}
    assert result["outcomes"][0]["counts"] == counts
    assert {one["port"]: one["found"] for one in result["violations"]} == {silent: "open_or_filtered", shut: "closed"}
    flaky = serve.udp(b"x", deaf=1)
    assert ask("127.0.0.1", ports=[f"{flaky}/udp"], timeout=0.2, tries=1)["counts"]["open_or_filtered"] == 1


def test_ipv6(serve) -> None:
    port = serve(address="::1")
    result = ask("::1", "::1-::1", ports=[str(port), str(closed_port())])
    assert [host["counts"]["open"] for host in result["outcomes"]] == [1, 1]
    assert result["counts"]["closed"] == 2


@pytest.mark.parametrize(
    ("says", "banner"),
    [
        (b"SSH-2.0-Test_1.0\r\nmore", "SSH-2.0-Test_1.0"),
        (b"220 \x1b[31mred\x1b[0m\x07 \xff\xfe mail\r\n", "220 [31mred [0m mail"),
        (b"\x00\x00J\x0a5.5.5-MariaDB\x00", "J"),
        (b"\r\n\r\nlater\r\n", "later"),
        ("\u202egnp.exe\u200b\r\n".encode(), "gnp.exe"),
        (b"x" * 5000, "x" * 200),
        (b"\x00\x01", None),
        (None, None),
    ],
)
def test_a_banner_is_one_clean_line(serve, says: bytes | None, banner: str | None) -> None:
    heard: list = []
    port = serve(says, heard)
    result = ask("127.0.0.1", ports=[str(port)], banners=True, timeout=0.5)
    assert [one["banner"] for one in result["outcomes"][0]["ports"]] == [banner]
    assert b"".join(heard) == b""  # Nothing was sent to a port that is not known for HTTP.


def test_without_banners_nothing_is_read(serve) -> None:
    port = serve(b"SSH-2.0-Test\r\n")
    assert ask("127.0.0.1", ports=[str(port)])["outcomes"][0]["ports"][0]["banner"] is None


def test_a_range_is_scanned_as_a_whole_and_what_is_excluded_is_not(serve) -> None:
    port = serve(address="0.0.0.0")
    everywhere = {"address": "127.9.9.0/28", "exclude": ["127.9.9.4-6"]}
    result = ask(everywhere, ports=[str(port)], exclude=["127.9.9.1"])
    found = [host["item"] for host in result["outcomes"]]
    assert found == [f"127.9.9.{number}" for number in (2, 3, *range(7, 15))]
    assert result["counts"]["open"] == result["counts"]["addresses"] == result["counts"]["up"] == 10
    assert {host["target"] for host in result["outcomes"]} == {"127.9.9.0/28"}


def test_all_ports_of_this_machine_are_those_that_the_kernel_lists(serve) -> None:
    ports = {serve() for _number in range(20)}

    def listed() -> set[int]:
        sockets = listening(read_sockets())
        return {
            one["port"]
            for one in sockets
            if one["protocol"] == "tcp" and one["address"] in ("127.0.0.1", "0.0.0.0", "::")
        }

    before = listed()
    tracemalloc.start()
    result = ask("127.0.0.1", ports=["all"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    found = {port["port"] for port in result["outcomes"][0]["ports"]}
    # Others may open and close ports meanwhile: what listened all the time is found, and nothing else is.
    assert ports <= before & listed() <= found <= before | listed()
    assert sum(result["outcomes"][0]["counts"].values()) == 65535
    assert peak < 20 << 20


def test_policy(serve) -> None:
    wanted, tolerated, other, banned, shut = serve(), serve(), serve(), serve(), closed_port()
    result = ask(
        {"address": "127.0.0.1", "forbidden": [str(banned)]},
        {"address": "127.0.0.2", "expected": []},
        ports=[str(other), str(tolerated)],
        expected=[str(wanted), str(shut)],
        allowed=[str(tolerated)],
        limit=2,
    )
    told = [(one["item"], one["port"], one["rule"], one["found"]) for one in result["violations"]]
    loose = sorted([(other, "allowed"), (banned, "forbidden")])
    expected = [("127.0.0.1", shut, "expected", "closed"), *(("127.0.0.1", *one, "open") for one in loose)]
    assert told == expected[:2]
    assert result["violation_count"] == 3
    assert result["violation_counts"] == {"expected": 1, "allowed": 1, "forbidden": 1}
    assert [host["violations"] for host in result["outcomes"]] == [3, 0]
    assert not result["ok"]
    assert "failed" not in result


def test_a_violation_fails_where_it_is_to(serve) -> None:
    opened, shut = serve(), closed_port()
    result = ask("127.0.0.1", ports=[], forbidden=[str(opened)], fail_on_violation=True)
    assert (result["failed"], result["error"]["kind"], result["error"]["item"]) == (True, "unsafe", "127.0.0.1")
    assert result["msg"].startswith(f"1 violation on 1 host. 127.0.0.1: {opened}/tcp is open, forbidden.")
    result = ask("127.0.0.1", ports=[], expected=[str(shut)], fail_on_violation=True)
    assert result["error"]["kind"] == "unavailable"
    assert not ask("127.0.0.1", ports=[], expected=[str(opened)], fail_on_violation=True).get("failed")


def test_a_name_is_looked_up_and_one_without_address_fails_alone(serve) -> None:
    port = serve()
    result = ask("localhost", "nothing.invalid", "127.0.0.1", ports=[str(port)])
    assert [host["item"] for host in result["outcomes"]] == ["nothing.invalid", "localhost", "127.0.0.1"]
    assert [host.get("failed", False) for host in result["outcomes"]] == [True, False, False]
    assert result["failed"]
    assert (result["error"]["kind"], result["error"]["item"]) == ("not_found", "nothing.invalid")
    assert result["counts"]["open"] == 2


def test_a_name_does_not_lead_to_what_is_excluded() -> None:
    result = ask("localhost", exclude=["127.0.0.0/8", "::1"])
    assert (result["failed"], result["error"]["kind"]) == (True, "conflict")
    assert result["counts"]["addresses"] == 0


def test_discovery_by_tcp_finds_who_refuses() -> None:
    result = ask("127.9.8.0/29", "127.9.8.1", discovery=["tcp"], ports=[])
    assert [host["item"] for host in result["outcomes"]] == [
        *(f"127.9.8.{number}" for number in range(1, 7)),
        "127.9.8.1",
    ]
    assert {host["answered_by"] for host in result["outcomes"]} == {"tcp"}
    assert all(host["latency_ms"] > 0 for host in result["outcomes"])
    assert result["discovery"] == {"used": ["tcp"], "unavailable": {}}


@pytest.mark.parametrize(
    ("targets", "options", "kind", "says"),
    [
        ([], {}, "validation", "targets is an empty list"),
        (
            ["10.0.0.0/8"],
            {},
            "unsafe",
            "targets[0].address=10.0.0.0/8 has 16,777,214 addresses; max_addresses is 4,096",
        ),
        (["10.0.0.0/8"], {}, "unsafe", "or set max_addresses: 16777214"),
        (["127.0.0.1", "2001:db8::/64"], {}, "unsafe", "all targets 18,446,744,073,709,551,616"),
        (["10.0.0.0/20"], {"ports": ["all"]}, "unsafe", "are 268,300,290 probes; max_probes is 1,000,000"),
        (["10.0.0.0/99"], {}, "validation", "targets[0].address='10.0.0.0/99' is no network"),
        (["127.0.0.1"], {"ports": ["443-80"]}, "validation", "ports[0]='443-80' is reversed. Write 80-443."),
        (["127.0.0.1"], {"exclude": ["127.0.0.0/8"]}, "validation", "is excluded as a whole"),
        (["127.0.0.1"], {"exclude": ["localhost"]}, "validation", "exclude[0]='localhost' is no address"),
        (["224.0.0.0/8"], {"max_addresses": 1 << 24}, "validation", "has multicast or unspecified addresses"),
        (["::"], {}, "validation", "has multicast or unspecified addresses"),
        (["127.0.0.1"], {"expected": ["22"], "forbidden": ["ssh"]}, "conflict", "22/tcp must be open"),
        (["127.0.0.1"], {"timeout": 0}, "validation", "timeout=0.0 is out of bounds. Give a number from 0.01 to 60."),
        (["127.0.0.1"], {"concurrency": 0}, "validation", "concurrency=0"),
        (["127.0.0.1"], {"rate": -1}, "validation", "rate=-1.0"),
        (["fe80::1%nowhere"], {}, "not_found", "there is no interface nowhere here"),
    ],
)
def test_bad_options_are_named_before_anything_is_sent(targets: list, options: dict, kind: str, says: str) -> None:
    with pytest.raises(ToolkitError) as caught:
        ask(*targets, **options)
    assert caught.value.kind == kind
    assert says in caught.value.as_result()["msg"]
