# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both sides of a bandwidth test on this machine, among strangers; latency by TCP; options that can't be used."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    IntegrityError,
    PermissionDenied,
    TimeoutExpired,
    UnavailableError,
    ValidationError,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._network.performance import handshake
from ansible_collections.scripts.toolkit.plugins.module_utils._network.performance.report import performance_info

TOKEN = "0123456789abcdef"
TERMS = handshake.Terms("upload", 1.0, None, False)


def run(argv, data=None, **_options) -> tuple[int, str, str]:
    done = subprocess.run(argv, input=data, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def info(**given) -> dict:
    defaults = {"targets": [], "count": 5, "interval": 0.01, "timeout": 1.0, "size": 56, "ip_version": "any"}
    targets = [{"name": None, "port": None, **target} for target in given.pop("targets", [])]
    return performance_info(
        {**defaults, "parallel": 100, "bandwidth": None, **given, "targets": targets}, Commands(run)
    )


def side(role: str, port: int, **given) -> dict:
    """Run one side; return what it says of the bandwidth."""
    options = {"role": role, "address": "127.0.0.1", "port": port, "token": TOKEN, "direction": "upload"}
    options.update({"seconds": 0.3, "max_bytes": None, "wait": 20.0, "tool": "builtin"})
    return info(bandwidth={**options, **given})["bandwidth"]


@pytest.fixture
def port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as made:
        yield made


def connect(port: int) -> socket.socket:
    """Connect as soon as somebody listens."""
    for _attempt in range(500):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=20)
        except OSError:
            time.sleep(0.02)
    raise AssertionError("nobody listens")


def send_until_it_breaks(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"x" * 5000)


def line(peer: socket.socket) -> bytes:
    with peer.makefile("rb") as opened:
        return opened.readline()


@pytest.mark.parametrize("direction", ["upload", "download"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_both_sides_count_the_same(pool, port, direction, address):
    server = pool.submit(side, "server", port, address=address)
    asked = side("client", port, direction=direction, address=address)
    served = server.result()
    assert asked["bytes"] > 1_000_000
    assert asked["bits_per_second"] == pytest.approx(asked["bytes"] * 8 / asked["seconds"], rel=0.01)
    for key in ("tool", "direction", "bytes", "seconds", "bits_per_second"):
        assert asked[key] == served[key]
    assert (asked["direction"], served["strangers"]) == (direction, 0)


@pytest.mark.parametrize("direction", ["upload", "download"])
@pytest.mark.parametrize("bounds", [(3_000_001, None), (None, 3_000_001), (9_000_000, 3_000_001)])
def test_not_a_byte_more_than_either_side_allows(pool, port, direction, bounds):
    server = pool.submit(side, "server", port, max_bytes=bounds[0], seconds=30)
    asked = side("client", port, direction=direction, max_bytes=bounds[1], seconds=30)
    assert asked["bytes"] == server.result()["bytes"] == 3_000_001


def test_the_client_may_start_first(pool, port):
    client = pool.submit(side, "client", port)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    assert side("server", port)["bytes"] == client.result()["bytes"]


def test_strangers_are_sent_away_and_do_not_keep_the_client_out(pool, port):
    server = pool.submit(side, "server", port)
    silent = [connect(port) for _number in range(3)]
    with connect(port) as noisy:
        noisy.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert json.loads(line(noisy))["protocol"]
        assert noisy.recv(1) == b""
    with connect(port) as endless, pytest.raises(ConnectionError):
        send_until_it_breaks(endless)
    with pytest.raises(PermissionDenied, match="refused"):
        side("client", port, token="fedcba9876543210")
    assert side("client", port)["bytes"] > 0
    assert server.result()["strangers"] >= 3
    for peer in silent:
        peer.close()


def test_a_recorded_proof_is_worth_nothing(pool, port):
    """What a client sent to one server, another one with the same token does not take."""
    first, second = handshake.greeting(), handshake.greeting()
    asked = handshake.request(TOKEN, first, TERMS)
    assert handshake.accept(TOKEN, first, asked) == TERMS
    assert handshake.accept(TOKEN, second, asked) is None


def test_changed_terms_and_false_servers_are_noticed():
    first = handshake.greeting()
    asked = handshake.request(TOKEN, first, TERMS)
    assert TOKEN.encode() not in first + asked
    assert handshake.accept(TOKEN, first, asked.replace(b'"seconds": 1.0', b'"seconds": 9.0')) is None
    told = handshake.confirm(TOKEN, asked, TERMS)
    assert handshake.agreed(TOKEN, asked, told) == TERMS
    for false in (told.replace(b"upload", b"downlo"), handshake.confirm("another token 123", asked, TERMS), b"{}\n"):
        with pytest.raises(PermissionDenied):
            handshake.agreed(TOKEN, asked, false)
    with pytest.raises(IntegrityError):
        handshake.request(TOKEN, b"220 mail.example.com ESMTP\r\n", TERMS)


@given(st.binary(max_size=300))
@example(b"[" * 2000)
@example(b'{"proof": "\\ud800"}')
@example(b'{"proof": 1e999, "terms": []}')
def test_no_bytes_of_a_stranger_are_a_proof(sent):
    assert handshake.accept(TOKEN, handshake.greeting(), sent) is None


@given(st.binary(max_size=300))
def test_no_bytes_of_a_stranger_are_a_server(sent):
    with pytest.raises((PermissionDenied, IntegrityError)):
        handshake.agreed(TOKEN, b"", sent) if sent else handshake.request(TOKEN, sent, TERMS)


def test_a_server_without_a_client_ends(port):
    with pytest.raises(TimeoutExpired, match=r"within 0.2 seconds \(0 without\)"):
        side("server", port, wait=0.2)
    # The port is free again.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))


def test_a_client_without_a_server_ends(port):
    with pytest.raises(UnavailableError, match=f"127.0.0.1 port {port}") as caught:
        side("client", port, wait=0.0)
    assert "role: server" in caught.value.hint


def test_a_port_in_use_and_a_foreign_address_are_told(port):
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(UnavailableError, match="Address already in use"):
            side("server", port)
        with pytest.raises(UnavailableError, match="can't be listened on"):
            side("server", port, address="192.0.2.1")


def test_a_client_that_dies_is_noticed(pool, port):
    server = pool.submit(side, "server", port, direction="upload")
    with connect(port) as peer:
        first = line(peer)
        peer.sendall(handshake.request(TOKEN, first, TERMS))
        line(peer)
    with pytest.raises(UnavailableError, match="sent nothing"):
        server.result()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"port": 0}, "bandwidth.port"),
        ({"port": 65536}, "bandwidth.port"),
        ({"seconds": 0}, "bandwidth.seconds"),
        ({"seconds": 301}, "bandwidth.seconds"),
        ({"max_bytes": 0}, "bandwidth.max_bytes"),
        ({"token": "short"}, "bandwidth.token"),
        ({"tool": "iperf3", "max_bytes": 5}, "bandwidth.max_bytes"),
        ({"address": "10.0.0.256"}, "bandwidth.address"),
    ],
    ids=str,
)
def test_options_of_bandwidth_that_can_not_be_used_are_named(port, wrong, says):
    with pytest.raises(ValidationError) as caught:
        side("server", **{"port": port, **wrong})
    assert says in caught.value.message
    assert "short" not in caught.value.message or "shorter" in caught.value.message


@pytest.mark.parametrize(
    "wrong",
    [{"count": 0}, {"count": 10001}, {"interval": 0}, {"timeout": 61.0}, {"size": 15}, {"parallel": 0}],
    ids=str,
)
def test_options_of_latency_out_of_range_are_named(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        info(targets=[{"address": "127.0.0.1", "port": 1}], **wrong)


def test_a_port_out_of_range_and_nothing_to_do_are_errors():
    with pytest.raises(ValidationError, match=r"targets\[1\].port: 65536") as caught:
        info(targets=[{"address": "127.0.0.1", "port": 1}, {"address": "::1", "port": 65536, "name": "six"}])
    assert caught.value.item == "six"
    with pytest.raises(ValidationError, match="nothing to measure"):
        info()


def test_two_hundred_targets_by_tcp(port):
    accepted = []
    with socket.create_server(("", port), backlog=1000) as listener:

        def accept() -> None:
            while True:
                try:
                    accepted.append(listener.accept()[0].close())
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        names = [f"127.0.1.{number}" for number in range(200)]
        targets = [{"address": name, "port": port} for name in names]
        result = info(targets=[*targets, {"address": "127.0.0.1", "port": 1, "name": "closed"}], timeout=20.0)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    *reached, closed = result["outcomes"]
    assert [outcome["item"] for outcome in reached] == names
    assert {(outcome["received"], outcome["lost"], outcome["method"]) for outcome in reached} == {(5, 0, "tcp")}
    assert len(accepted) == 5 * len(names)
    assert (closed["item"], closed["received"], closed["errors"]) == ("closed", 0, {"refused": 5})
    assert (closed["rtt_ms"], closed["jitter_ms"], closed["loss_percent"]) == (None, None, 100.0)


def test_names_that_do_not_exist_fail_and_the_others_are_measured(port):
    targets = [{"address": "no such name", "name": "bad"}, {"address": "127.0.0.1", "port": port}]
    result = info(targets=targets)
    assert (result["failed"], result["error"]["kind"], result["error"]["item"]) == (True, "validation", "bad")
    assert result["outcomes"][1]["errors"] == {"refused": 5}
    assert os.uname().nodename == result["vantage"]["hostname"]
