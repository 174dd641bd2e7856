# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which ports must be open, may be and must not be; what is against it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .host import OPEN, STATES, Host
from .ports import PROTOCOLS, Ports

__all__ = ["Policy", "Violation"]

_HINTS = {
    "closed": "Start the service, or have it listen on this address.",
    "filtered": "Nothing came back: look at the firewalls on the way, and whether the host is up.",
    "open_or_filtered": "Nothing came back: a firewall drops it, or the service does not answer what it does not know.",
}


@dataclass(frozen=True)
class Violation:
    """A port that is not as it must be. ``rule`` is ``expected``, ``allowed`` or ``forbidden``, ``found`` its state."""

    protocol: str
    port: int
    rule: str
    found: str
    hint: str


@dataclass(frozen=True)
class Policy:
    """Ports that must be ``expected``, those ``allowed`` beside them (``None``: any), and those ``forbidden``."""

    expected: Ports
    allowed: Ports | None
    forbidden: Ports

    def watched(self) -> frozenset[tuple[str, int]]:
        """Return the ports whose state must be known, whatever it is."""
        return frozenset((protocol, port) for protocol in PROTOCOLS for port in self.expected[protocol])

    def violations(self, host: Host) -> Iterator[Violation]:
        """Yield what is against the policy on a host that was scanned, by protocol and port."""
        for protocol in PROTOCOLS:
            for port in sorted(self.expected[protocol]):
                found = host.states[protocol, port]
                if found != STATES[OPEN]:
                    yield Violation(protocol, port, "expected", found, _HINTS[found])
        for protocol, port, _banner in sorted(host.open, key=lambda one: one[:2]):
            rule = self._broken(protocol, port)
            if rule:
                hint = f"Stop the service or close the port, or change {rule}."
                yield Violation(protocol, port, rule, STATES[OPEN], hint)

    def _broken(self, protocol: str, port: int) -> str | None:
        """Return the rule that an open port breaks."""
        if port in self.forbidden[protocol]:
            return "forbidden"
        if self.allowed is None or port in self.allowed[protocol] or port in self.expected[protocol]:
            return None
        return "allowed"
