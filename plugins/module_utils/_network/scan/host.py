# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of one address that is scanned: counts, and the ports that are open. No record of any other port."""

from __future__ import annotations

import socket

__all__ = ["CLOSED", "FILTERED", "OPEN", "OPEN_OR_FILTERED", "STATES", "Host", "Tally"]

STATES = ("open", "closed", "filtered", "open_or_filtered")
OPEN, CLOSED, FILTERED, OPEN_OR_FILTERED = range(4)


class Tally:
    """What hosts have in common: those that answered, and how many ports have each of the :data:`STATES`. So those
    that don't answer need not be kept."""

    __slots__ = ("answering", "counts")

    def __init__(self) -> None:
        self.answering: list[Host] = []
        self.counts = [0] * len(STATES)


class Host:
    """An address.

    :param zone: the interface's index of a link-local address, else 0.
    :param watched: ports whose state is kept whatever it is, as ``(protocol, port)``.
    :param tally: where it counts too, and enters itself when it answers for the first time.
    :ivar counts: how many ports have each of the :data:`STATES`.
    :ivar open: ``(protocol, port, banner)`` of the open ones.
    :ivar answered_by: what told first that somebody is there: icmp, tcp, udp or neighbour; ``None``: nothing did.
    :ivar latency: seconds until that answer, where it was measured.
    """

    __slots__ = ("address", "answered_by", "counts", "family", "latency", "open", "states", "tally", "watched", "zone")

    def __init__(self, address: str, zone: int, watched: frozenset[tuple[str, int]], tally: Tally) -> None:
        self.address = address
        self.zone = zone
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.watched = watched
        self.tally = tally
        self.states: dict[tuple[str, int], str] = {}
        self.counts = [0] * len(STATES)
        self.open: list[tuple[str, int, str | None]] = []
        self.answered_by: str | None = None
        self.latency: float | None = None

    def at(self, port: int) -> tuple:
        """Return the socket address of a port."""
        if self.family == socket.AF_INET:
            return (self.address, port)
        return (self.address, port, 0, self.zone)

    def answer(self, method: str, latency: float | None = None) -> None:
        """Note that the host is there."""
        if self.answered_by is None:
            self.answered_by = method
            self.latency = latency
            self.tally.answering.append(self)

    def note(self, protocol: str, port: int, state: int, banner: str | None = None) -> None:
        """Note the state of a port."""
        self.counts[state] += 1
        self.tally.counts[state] += 1
        if state <= CLOSED:
            self.answer(protocol)
            if state == OPEN:
                self.open.append((protocol, port, banner))
        if (protocol, port) in self.watched:
            self.states[protocol, port] = STATES[state]
