# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The routers on the way, found by packets whose TTL ends there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from .flight import Flight, Reply

__all__ = ["Hop", "Trace", "trace"]

_WAVE = 4
"""Hops asked at once, fewer at the begin. Linux sends six ICMP errors at once to the same asker and then one a second;
packets of a wave that go beyond the destination would use them up."""


@dataclass
class Hop:
    """What was answered to the packets with this TTL; ``None`` for each packet that got no answer."""

    ttl: int
    replies: list[Reply | None] = field(default_factory=list)

    @property
    def answered(self) -> list[Reply]:
        return [reply for reply in self.replies if reply is not None]

    def as_dict(self) -> dict:
        """Return the hop for the result."""
        addresses = list(dict.fromkeys(reply.address for reply in self.answered if reply.address))
        return {
            "ttl": self.ttl,
            "address": addresses[0] if addresses else None,
            "addresses": addresses,
            "name": None,
            "answer": self.answered[0].kind if self.answered else None,
            "rtts_ms": [reply.rtt_ms for reply in self.answered],
            "sent": len(self.replies),
            "lost": len(self.replies) - len(self.answered),
        }


@dataclass
class Trace:
    """The hops up to the destination, or as far as anybody answered.

    :param end: why it ends there: ``arrived``, the error that a router or host answered, ``max_hops`` or ``silence``.
    """

    hops: list[Hop]
    end: str

    @property
    def arrived(self) -> bool:
        return self.end == "arrived"


async def trace(flight: Flight, max_hops: int, probes: int, max_silent_hops: int) -> Trace:
    """Send ``probes`` packets (more to silent hops) for each TTL up to the destination's, at most ``max_hops``.

    It ends after ``max_silent_hops`` hops in a row from which nothing came; those are left out of the result.
    """
    hops: list[Hop] = []
    end = "max_hops"
    while end == "max_hops" and len(hops) < max_hops:
        width = min(_WAVE, max(1, len(hops)), max_hops - len(hops))
        heard = max((hop.ttl for hop in hops if hop.answered), default=0)
        hops += [Hop(ttl) for ttl in range(len(hops) + 1, len(hops) + width + 1)]
        # Silent ones once more, before those behind: if it is the destination that was silent, it answers them first.
        await _ask(flight, hops[heard:])
        end = _end(hops, max_silent_hops)
    if end == "silence":
        hops = hops[: max((hop.ttl for hop in hops if hop.answered), default=0)]
    hops = _until_final(hops)
    for _round in range(probes - 1):
        await _ask(flight, [hop for hop in hops if len(hop.replies) < probes])
        hops = _until_final(hops)
    return Trace(hops, end)


async def _ask(flight: Flight, hops: list[Hop]) -> None:
    for hop, reply in zip(hops, await asyncio.gather(*(flight.send(ttl=hop.ttl) for hop in hops))):
        hop.replies.append(reply)


def _until_final(hops: list[Hop]) -> list[Hop]:
    """Return the hops up to the first one behind which no packet gets."""
    last = next((hop.ttl for hop in hops if any(reply.final for reply in hop.answered)), len(hops))
    return hops[:last]


def _end(hops: list[Hop], max_silent_hops: int) -> str:
    final = [reply for hop in hops for reply in hop.answered if reply.final]
    if final:
        return final[0].kind
    if len(hops) >= max_silent_hops and not any(hop.answered for hop in hops[-max_silent_hops:]):
        return "silence"
    return "max_hops"
