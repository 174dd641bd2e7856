# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ranges of addresses, against the standard library's networks, and what is refused."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._network.scan.ranges import (
    Range,
    parse_range,
    parse_target,
    subtract,
)


@pytest.mark.parametrize("text", ["192.0.2.0/28", "192.0.2.6/31", "192.0.2.7/32", "2001:db8::/124", "2001:db8::7/128"])
def test_a_network_has_the_hosts_that_the_standard_library_says(text: str) -> None:
    assert list(parse_range(text, "x")) == [str(host) for host in ipaddress.ip_network(text).hosts()]


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("192.0.2.10-192.0.3.1", "192.0.2.10", "192.0.3.1"),
        ("192.0.2.10-20", "192.0.2.10", "192.0.2.20"),
        ("2001:db8::1-2001:db8::ff", "2001:db8::1", "2001:db8::ff"),
        ("fe80::1%eth0", "fe80::1", "fe80::1"),
    ],
)
def test_a_range_goes_from_its_first_to_its_last(text: str, first: str, last: str) -> None:
    found = parse_range(text, "x")
    assert (found.first, found.last) == (int(ipaddress.ip_address(first)), int(ipaddress.ip_address(last)))
    assert found.zone == ("eth0" if "%" in text else "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("192.0.2.0/33", "is no network"),
        ("192.0.2.0/24/8", "is no network"),
        ("300.0.2.0/24", "is no network"),
        ("192.0.2.7/24", "is an address in a network. Write 192.0.2.0/24"),
        ("192.0.2.20-192.0.2.10", "ends before it begins"),
        ("192.0.2.20-10", "ends before it begins"),
        ("192.0.2.20-300", "'300' is no end of a range from 192.0.2.20"),
        ("192.0.2.1-2001:db8::1", "is no end of a range"),
        ("192.0.2.300", "is not an address or a name"),
        ("192.0.2.7%eth0", "is not an address or a name"),
        ("-oProxyCommand", "is not an address or a name"),
        ("", "is not an address or a name"),
        ("a" * 64 + ".example", "can't be a domain name|is not an address"),
    ],
)
def test_what_is_no_target_is_named_with_its_option(text: str, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_target(text, "targets[3].address")
    message = caught.value.as_result()["msg"]
    assert "targets[3].address" in message
    assert any(part in message for part in says.split("|"))


def test_a_name_is_no_range_unless_a_target_is_wanted() -> None:
    assert parse_target("web-01.example.com.", "x") == "web-01.example.com"
    assert parse_target("bücher.example", "x") == "xn--bcher-kva.example"
    with pytest.raises(ValidationError):
        parse_range("web-01.example.com", "exclude[0]")


_NUMBERS = st.integers(0, 40)


@given(_NUMBERS, _NUMBERS, st.lists(st.tuples(_NUMBERS, _NUMBERS), max_size=4))
def test_what_is_left_is_what_is_in_no_hole(first: int, size: int, holes: list[tuple[int, int]]) -> None:
    excluded = [Range(4, low, low + more) for low, more in holes]
    left = subtract(Range(4, first, first + size), excluded)
    wanted = set(range(first, first + size + 1)) - {n for hole in excluded for n in range(hole.first, hole.last + 1)}
    numbers = [number for part in left for number in range(part.first, part.last + 1)]
    assert numbers == sorted(wanted)


def test_holes_are_of_the_same_family() -> None:
    whole = parse_range("192.0.2.0/30", "x")
    assert subtract(whole, [parse_range("::/0", "x")]) == [whole]
    assert subtract(whole, [parse_range("0.0.0.0/0", "x")]) == []
