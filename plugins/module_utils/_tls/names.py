# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names that a certificate can be issued for: DNS names (IDNA, wildcards) and IP addresses."""

from __future__ import annotations

import ipaddress
import re

from .._core.errors import ValidationError

__all__ = ["Name", "normal_name", "normal_names"]

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_DEVIATIONS = "\u00df\u03c2\u200c\u200d"
"""Characters that IDNA 2003 (Python's codec) and IDNA 2008 map to different names (UTS #46, section 7.2)."""


class Name(str):
    """A name in its normal form: lower-case A-labels, or an address as :mod:`ipaddress` writes it."""

    @property
    def is_address(self) -> bool:
        """True for an IP address."""
        return ":" in self or self.rpartition(".")[2].isdigit()

    @property
    def is_wildcard(self) -> bool:
        """True for ``*.something``."""
        return self.startswith("*.")


def _ascii(text: str) -> str:
    """Return ``text`` with its Unicode labels as A-labels; raises UnicodeError."""
    if text.isascii():
        return text
    if any(character in text for character in _DEVIATIONS):
        raise UnicodeError("it has a letter that old and new programs encode differently; write its xn-- form")
    wildcard, text = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    return wildcard + text.encode("idna").decode("ascii")


def _complaint(name: str) -> str | None:
    """Return what is wrong with a lower-case ASCII DNS name, or ``None``."""
    if not name:
        return "it is empty"
    if len(name) > 253:
        return "it is longer than 253 characters"
    labels = name.split(".")
    if labels[0] == "*":
        labels = labels[1:]
        if not labels:
            return "a wildcard needs a domain, as in *.example.com"
    if any("*" in label for label in labels):
        return "a wildcard can only be the whole first label, as in *.example.com"
    for label in labels:
        if not label:
            return "it has an empty label (two dots in a row, or one at the start)"
        if len(label) > 63:
            return f"the label {label!r} is longer than 63 characters"
        if not _LABEL.match(label):
            return f"the label {label!r} may only have letters, digits and inner hyphens"
    if labels[-1].isdigit():
        return "its last label is a number, and it is no IP address"
    return None


def normal_name(value: str, option: str = "domains") -> Name:
    """Return the normal form of a DNS name or IP address.

    One trailing dot is dropped; Unicode labels become A-labels (RFC 3490, as Python's codec does).

    :param option: the option to name in the error.
    :raises ValidationError: it can't be in a certificate (RFC 5280, RFC 6125).
    """
    text = str(value)
    try:
        if "%" not in text:
            return Name(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        name = _ascii(text).lower()
        complaint = _complaint(name.removesuffix("."))
    except UnicodeError as error:
        name, complaint = text, str(error)
    if complaint:
        raise ValidationError(
            f"{option}: {text!r} is not a domain name or IP address: {complaint}.",
            hint="Write names as www.example.com or *.example.com, addresses as 192.0.2.1 or 2001:db8::1.",
        )
    return Name(name.removesuffix("."))


def normal_names(values: list[str], option: str = "domains") -> tuple[Name, ...]:
    """Return the normal forms in their order, each once.

    :raises ValidationError: one can't be in a certificate, or there are none.
    """
    names = tuple(dict.fromkeys(normal_name(value, option) for value in values))
    if not names:
        raise ValidationError(f"{option} is empty.", hint="Give at least one domain name or IP address.")
    return names
