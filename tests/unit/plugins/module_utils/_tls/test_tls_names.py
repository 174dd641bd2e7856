# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509 as reference
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._tls import x509
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.names import Name, normal_name, normal_names

KEY = x509.generate_key(x509.KeyKind())
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
DOMAIN = st.builds(
    lambda labels, top: ".".join([*labels, top]),
    st.lists(LABEL, max_size=4),
    st.from_regex(r"[a-z]{2,8}", fullmatch=True),
)


@pytest.mark.parametrize(
    ("given_name", "normal"),
    [
        ("www.example.com", "www.example.com"),
        ("WWW.Example.COM.", "www.example.com"),
        ("*.example.com", "*.example.com"),
        ("localhost", "localhost"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
    ],
)
def test_names_come_in_one_form(given_name, normal):
    assert normal_name(given_name) == normal


@pytest.mark.parametrize(
    "bad",
    [
        "",
        ".",
        "*",
        "*.",
        "a..b",
        ".example.com",
        "-a.example.com",
        "a-.example.com",
        "a_b.example.com",
        "a b.example.com",
        "www.*.example.com",
        "w*.example.com",
        "http://example.com",
        "example.com:443",
        "256.1.1.1",
        "1.2.3",
        "fe80::1%eth0",
        "[::1]",
        "straße.example",
        "x" * 64 + ".example",
        ".".join(["abcdefgh"] * 29),
        "example.com\n",
        "exa\x00mple.com",
        "a@example.com",
    ],
)
def test_a_bad_name_is_refused_and_named(bad):
    with pytest.raises(ValidationError) as caught:
        normal_name(bad, "domains")
    assert "domains" in caught.value.message
    assert repr(bad) in caught.value.message


@given(st.text(max_size=80))
def test_any_text_is_either_refused_or_a_name_that_stays_as_it_is(text):
    try:
        name = normal_name(text)
    except ValidationError:
        return
    assert normal_name(name) == name
    assert name.isascii()
    assert len(name) <= 253


@given(DOMAIN)
def test_proper_domains_are_taken_as_they_are(domain):
    name = normal_name(domain)
    assert name == domain
    assert not name.is_address
    assert normal_name(domain.upper() + ".") == domain


@given(st.ip_addresses())
def test_addresses_are_known_as_such(address):
    name = normal_name(str(address).upper())
    assert name.is_address
    assert ipaddress.ip_address(str(name)) == address


@given(st.lists(st.one_of(DOMAIN, DOMAIN.map("*.{}".format), st.ip_addresses().map(str)), min_size=1, max_size=6))
def test_a_certificate_has_exactly_the_names_that_were_wanted(wanted):
    names = normal_names(wanted)
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    made = x509.build_certificate(KEY.public_key(), names, ["server"], now, now + timedelta(days=1), KEY)
    assert x509.names_of(x509.load_certificate(x509.certificate_pem(made))) == set(names)
    assert made.extensions.get_extension_for_class(reference.BasicConstraints).value.ca is False


def test_each_name_once_in_its_order():
    assert normal_names(["b.example", "A.example", "a.example."]) == (Name("b.example"), Name("a.example"))
    with pytest.raises(ValidationError, match="domains is empty"):
        normal_names([])
