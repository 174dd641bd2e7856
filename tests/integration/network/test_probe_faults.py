# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults in a real network, made by its own means: the probe names the layer of each."""

from __future__ import annotations

import pytest
from probe_servers import PORTS, SSH_FINGERPRINT

pytestmark = pytest.mark.usefixtures("healed")
HOST = "10.77.2.2"
PING = {"type": "icmp"}
TCP = {"type": "tcp"}
HTTP = {"type": "http"}


def target(address, port=None, **wish):
    return {"name": "it", "address": address, "type": "service", "port": port and PORTS[port], **wish}


def down(lab):
    lab.inside("client", "ip", "link", "set", "eth0", "down")


def no_route(lab):
    lab.inside("client", "ip", "route", "delete", "default")


def prohibited(lab):
    lab.inside("client", "ip", "route", "add", "prohibit", f"{HOST}/32")


def no_carrier(lab):
    lab.inside("router", "ip", "link", "set", "to-client", "down")


def far_link_down(lab):
    lab.inside("server", "ip", "link", "set", "eth0", "down")


def all_dropped(lab):
    lab.filter("router", "drop", hook="forward")


def one_way(lab):
    """The replies of each ten that are lost, the requests all arrive."""
    lab.filter("router", "icmp type echo-reply numgen inc mod 10 < 7 drop", hook="forward")


def black_hole(lab):
    lab.filter("router", "meta length > 1300 drop", hook="forward")


def clamped(lab):
    """The same path, but routers tell both ends of it, as those of tunnels do: no fault."""
    size = "tcp flags syn tcp option maxseg size set 1200"
    lab.filter("router", size, "meta length > 1300 drop", hook="forward")


def no_echo(lab):
    lab.filter("server", "icmp type echo-request drop")


def dropped(lab):
    lab.filter("server", "tcp dport 80 drop")


def rejected(lab):
    lab.filter("server", "tcp dport 80 reject")


def reset(lab):
    lab.filter("server", "tcp dport 80 reject with tcp reset")


def prohibited_port(lab):
    lab.filter("router", "tcp dport 80 reject with icmpx admin-prohibited", hook="forward")


def udp_dropped(lab):
    lab.filter("server", "udp dport 123 drop")


def dead_resolver(lab):
    lab.resolve_by("10.77.2.99")


def closed_resolver(lab):
    lab.resolve_by("10.77.2.1")


def healthy(_lab):
    """The fault is in the service."""


FAULTS = {
    "link down": (down, target(HOST), [PING, TCP | {"ports": [80]}], "route", "no way"),
    "no default route": (no_route, target(HOST, "well"), [TCP], "route", "no way"),
    "no default route, with a name": (no_route, target("www.lab.test", "well"), [TCP], "route", "no way"),
    "a route that prohibits": (prohibited, target(HOST, "well"), [TCP], "route", "no way"),
    "no carrier": (no_carrier, target(HOST, "well"), [PING, HTTP], "route", ""),
    "no such neighbour": (healthy, target("10.77.1.99", "well"), [TCP], "route", "link address"),
    "no such neighbour, IPv6": (healthy, target("fd77:1::99", "well"), [TCP], "route", "link address"),
    "no such host behind the router": (healthy, target("10.77.2.99", "well"), [TCP], "route", ""),
    "the server's link down": (far_link_down, target(HOST, "well"), [PING, HTTP], "route", ""),
    "a router that drops everything": (all_dropped, target(HOST, "well"), [HTTP], "route", "Nothing comes back"),
    "asymmetric loss": (one_way, target(HOST), [PING | {"count": 20, "interval_ms": 10}], "route", "70 %"),
    "MTU black hole": (black_hole, target(HOST, "large"), [HTTP], "route", "MTU"),
    "slow answer over a path with a small MTU": (
        clamped,
        target(HOST, "slow"),
        [HTTP | {"timeout": 0.3}],
        "application",
        "No HTTP answer",
    ),
    "echo filtered": (no_echo, target(HOST, "well"), [PING, HTTP], "application", "filtered"),
    "port dropped": (dropped, target(HOST, "well"), [HTTP], "tcp", "filtered"),
    "port dropped, IPv6": (dropped, target("fd77:2::2", "well"), [HTTP], "tcp", "filtered"),
    "port rejected": (rejected, target(HOST, "well"), [HTTP], "tcp", "refused"),
    "port reset": (reset, target(HOST, "well"), [HTTP], "tcp", "refused"),
    "port prohibited by a router": (prohibited_port, target(HOST, "well"), [HTTP], "tcp", "filtered"),
    "port closed": (healthy, target(HOST, port=None), [TCP | {"ports": [9999]}], "tcp", "refused"),
    "UDP port closed": (healthy, target(HOST), [{"type": "udp", "ports": [9999]}], "tcp", "refused"),
    "UDP port dropped": (udp_dropped, target(HOST), [{"type": "ntp"}], "tcp", "filtered"),
    "dead resolver": (dead_resolver, target("www.lab.test", "well"), [HTTP], "dns", ""),
    "closed resolver": (closed_resolver, target("www.lab.test", "well"), [HTTP], "dns", "nothing listens"),
    "mute resolver": (healthy, target("silent.lab.test", "well"), [HTTP], "dns", "does not answer"),
    "broken zone": (healthy, target("broken.lab.test", "well"), [HTTP], "dns", "SERVFAIL"),
    "no such name": (healthy, target("nobody.lab.test", "well"), [HTTP], "dns", "NXDOMAIN"),
    "name without an address": (healthy, target("lab.test", "well"), [HTTP], "dns", "no address"),
    "wrong answer": (
        healthy,
        target("wrong.lab.test", "well"),
        [{"type": "dns", "expect": [HOST]}, HTTP],
        "dns",
        "expected was",
    ),
    "certificate expired": (healthy, target("www.lab.test", "expired"), [{"type": "https"}], "tls", "expired"),
    "certificate of another": (healthy, target("www.lab.test", "other_name"), [{"type": "https"}], "tls", "ostname"),
    "self-signed certificate": (healthy, target("www.lab.test", "self_signed"), [{"type": "tls"}], "tls", "self"),
    "certificate ends soon": (
        healthy,
        target("www.lab.test", "soon"),
        [{"type": "tls", "fail_days": 10}],
        "tls",
        "ends in",
    ),
    "TLS port that says nothing": (healthy, target(HOST, "mute"), [{"type": "tls"}], "tls", "TLS handshake"),
    "TLS port without TLS": (healthy, target(HOST, "well"), [{"type": "https"}], "tls", "TLS handshake"),
    "half-open port": (healthy, target(HOST, "mute"), [HTTP], "application", "No HTTP answer"),
    "server that hangs up": (healthy, target(HOST, "closing"), [HTTP], "application", "closed|reset"),
    "no HTTP": (healthy, target(HOST, "garbage"), [HTTP], "application", "no HTTP"),
    "http 500": (healthy, target(HOST, "error"), [HTTP], "application", "answers 500"),
    "slow answer": (healthy, target(HOST, "slow"), [HTTP | {"fail_ms": 200}], "application", "200 are the most"),
    "body cut short": (healthy, target(HOST, "cut"), [HTTP], "application", "5 of 1000"),
    "redirects without end": (
        healthy,
        target(HOST, "loop"),
        [HTTP | {"max_redirects": 3}],
        "application",
        "3 redirects",
    ),
    "wrong page": (healthy, target(HOST, "well"), [HTTP | {"success_pattern": "sold out"}], "application", "sold out"),
    "wrong ssh key": (
        healthy,
        target(HOST, "ssh"),
        [{"type": "ssh", "fingerprint": "SHA256:" + "A" * 43}],
        "application",
        SSH_FINGERPRINT,
    ),
    "no ssh": (healthy, target(HOST, "smtp"), [{"type": "ssh"}], "application", ""),
    "mail refused": (healthy, target(HOST, "smtp_refusing"), [{"type": "smtp"}], "application", "554"),
    "clock server not synchronised": (
        healthy,
        target(HOST, "ntp_unsynchronised"),
        [{"type": "ntp"}],
        "application",
        "not synchronised",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_layer_of_a_fault_is_named(lab, name):
    make, wanted, rules, layer, says = FAULTS[name]
    make(lab)
    trusted = [{"ca_path": str(lab.directory / "ca.pem"), **rule} for rule in rules]
    result = lab.probe(targets=[wanted], rules=trusted)
    (outcome,) = result["outcomes"]
    assert outcome["fault"], outcome
    assert (outcome["fault"]["layer"], outcome["layers"][layer]) == (layer, "failed"), outcome
    assert any(part in outcome["fault"]["message"] for part in says.split("|")), outcome
    above = list(outcome["layers"].values())[list(outcome["layers"]).index(layer) + 1 :]
    assert not set(above) & {"ok", "failed"}
    assert result["counts"]["failed"] == 1
