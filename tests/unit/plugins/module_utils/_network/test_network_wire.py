# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What comes from outside in binary form: DNS answers, certificates, answers of the kernel."""

from __future__ import annotations

import struct

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._network.probe import dns_wire
from ansible_collections.scripts.toolkit.plugins.module_utils._network.probe.kernel import Kernel
from ansible_collections.scripts.toolkit.plugins.module_utils._network.probe.tls import validity
from ansible_collections.scripts.toolkit.plugins.module_utils._network.targets.addresses import parse_target
from ansible_collections.scripts.toolkit.tests.integration.network.probe_servers import ZONE, DnsServer


@pytest.mark.parametrize(("name", "record"), sorted(ZONE))
def test_answers_are_read(name, record):
    number, packet = dns_wire.encode(name, record)
    answer = dns_wire.decode(DnsServer.answer(packet, 65535), number, name, record)
    assert (answer.rcode, answer.values, answer.ttl) == ("NOERROR", ZONE[name, record], 60)


@given(st.binary(max_size=200), st.integers(0, 11))
def test_bytes_that_are_no_answer_are_refused(noise, cut):
    number, packet = dns_wire.encode("www.lab.test", "A")
    whole = DnsServer.answer(packet, 65535)
    for data in (noise, whole[: len(whole) - cut] + noise, whole[:12] + noise, whole[:30] + noise):
        try:
            dns_wire.decode(data, number, "www.lab.test", "A")
        except ValueError:
            continue


def test_a_name_that_points_at_itself_ends():
    number, packet = dns_wire.encode("www.lab.test", "A")
    header = struct.pack("!HHHHHH", number, 0x8180, 1, 1, 0, 0)
    question = packet[12 : 12 + 18]
    with pytest.raises(ValueError, match="forwards"):
        dns_wire.decode(header + question + b"\xc0\x1e" + bytes(10), number, "www.lab.test", "A")


def test_an_answer_to_another_question_is_refused():
    number, packet = dns_wire.encode("www.lab.test", "A")
    answer = DnsServer.answer(packet, 65535)
    for asked in ((number ^ 1, "www.lab.test", "A"), (number, "old.lab.test", "A"), (number, "www.lab.test", "AAAA")):
        with pytest.raises(ValueError, match="another question"):
            dns_wire.decode(answer, *asked)


def test_names_of_addresses():
    assert dns_wire.reverse_name("192.0.2.1") == "1.2.0.192.in-addr.arpa"
    assert dns_wire.reverse_name("2001:db8::1") == "1" + ".0" * 23 + ".8.b.d.0.1.0.0.2.ip6.arpa"


@pytest.mark.parametrize("kind", ["https", "expired", "other_name", "self_signed", "ca"])
def test_validity_is_what_cryptography_reads(servers, kind):
    pem = (servers.directory / f"{kind}.pem").read_bytes()
    certificate = x509.load_pem_x509_certificate(pem)
    der = certificate.public_bytes(Encoding.DER)
    assert validity(der) == (certificate.not_valid_before_utc, certificate.not_valid_after_utc)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_certificate_are_refused(data):
    with pytest.raises((ValueError, IndexError)):
        validity(data)


def test_the_kernel_tells_the_way():
    kernel = Kernel()
    try:
        for address in ("127.0.0.1", "127.9.9.9", "::1"):
            route = kernel.route(parse_target(address))
            assert (route.interface, route.local, route.down, route.gateway) == ("lo", True, False, "")
        assert kernel.neighbour(parse_target("127.0.0.1"), route) == "unknown"
    finally:
        kernel.close()
