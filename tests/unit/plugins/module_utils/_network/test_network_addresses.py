# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses, names, networks and URLs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._network.targets.addresses import (
    Address,
    Endpoint,
    Name,
    parse_endpoint,
    parse_network,
    parse_target,
    sockaddr,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.1", Address("192.0.2.1", 4)),
        ("2001:DB8::0001", Address("2001:db8::1", 6)),
        ("fe80::1%eth0", Address("fe80::1%eth0", 6)),
        ("www.Example.com.", Name("www.example.com", "www.Example.com.")),
        ("host", Name("host", "host")),
        ("_http._tcp.example.com", Name("_http._tcp.example.com", "_http._tcp.example.com")),
        ("bücher.example", Name("xn--bcher-kva.example", "bücher.example")),
        ("例え.テスト", Name("xn--r8jz45g.xn--zckzah", "例え.テスト")),
    ],
)
def test_addresses_and_names_are_read(text, found):
    assert parse_target(text) == found


@pytest.mark.parametrize(
    "text",
    ["", ".", "300.1.1.1", "1.2.3", "192.0.2.0/24", "::1::", "-rf", "a b", "a..b", "-x.example", "x-.example", "a;b",
     "$(id)", "x" * 64, ".".join(["x" * 60] * 5), "fe80::1%-oops;", "\u2024", "bü cher.example", "a\n",
     "\udc80.example"],
)  # fmt: skip
def test_what_is_neither_is_refused_by_the_name_of_the_option(text):
    with pytest.raises(ValidationError, match=r"targets\.address") as error:
        parse_target(text, "targets.address")
    assert error.value.hint


@given(st.text(max_size=80))
def test_what_passes_is_a_safe_argument(text):
    try:
        found = parse_target(text)
    except ValidationError:
        return
    assert found.text.isascii()
    assert not found.text.startswith("-")
    assert not set(found.text) & set(" \t\n'\"`$;|&<>()\\")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.1:80", Endpoint(Address("192.0.2.1", 4), 80)),
        ("[2001:db8::1]:443", Endpoint(Address("2001:db8::1", 6), 443)),
        ("[2001:db8::1]", Endpoint(Address("2001:db8::1", 6))),
        ("2001:db8::1", Endpoint(Address("2001:db8::1", 6))),
        ("db.example:5432", Endpoint(Name("db.example", "db.example"), 5432)),
        ("http://www.example", Endpoint(Name("www.example", "www.example"), 80, "http", "/")),
        ("https://[::1]:8443/a?b=c#d", Endpoint(Address("::1", 6), 8443, "https", "/a?b=c")),
    ],
)
def test_endpoints_are_read(text, found):
    assert parse_endpoint(text) == found


@pytest.mark.parametrize(
    "text",
    ["www.example:0", "www.example:65536", "ftp://www.example/", "http://", "http://a b/", "http://www.example:x/",
     "https://www.example/ä", "http://-x/"],
)  # fmt: skip
def test_wrong_endpoints_are_refused(text):
    with pytest.raises(ValidationError):
        parse_endpoint(text)


def test_a_password_in_a_url_is_refused_and_not_shown():
    with pytest.raises(ValidationError) as error:
        parse_endpoint("https://user:canary@www.example/")
    assert "canary" not in str(error.value.as_result())


def test_networks_are_read():
    network = parse_network("192.0.2.0/29")
    assert (network.size, network.version) == (8, 4)
    assert [host.text for host in network.hosts()] == [f"192.0.2.{last}" for last in range(1, 7)]
    for text in ("192.0.2.1/24", "192.0.2.0/33", "example.com/24", ""):
        with pytest.raises(ValidationError):
            parse_network(text)


def test_a_zone_becomes_the_number_of_its_interface():
    assert sockaddr(parse_target("fe80::1%lo"), 22) == ("fe80::1", 22, 0, 1)
    assert sockaddr(parse_target("192.0.2.1"), 22) == ("192.0.2.1", 22)
    with pytest.raises(OSError, match=r"No such device|no interface"):
        sockaddr(parse_target("fe80::1%nothere"), 22)
