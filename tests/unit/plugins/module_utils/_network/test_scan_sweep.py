# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loop of a scan: how many wait at once, how many are started, what is late."""

from __future__ import annotations

import socket
import time

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._network.scan.sweep import Probe, Sweep


class Waits(Probe):
    """A probe that is never answered, and asks again ``more`` times."""

    waiting = most = ended = 0

    def __init__(self, more: int = 0) -> None:
        self._more = more

    def start(self, sweep: Sweep) -> None:
        kind = type(self)
        kind.waiting += 1
        kind.most = max(kind.most, kind.waiting)
        sweep.wait(self)

    def late(self, sweep: Sweep) -> None:
        if self._more:
            self._more -= 1
            sweep.wait_more(self)
            return
        type(self).waiting -= 1
        type(self).ended += 1
        sweep.end(self)


class Reads(Probe):
    """A probe that waits for a byte in a socket of its own."""

    def __init__(self, end: socket.socket, found: list) -> None:
        self._end = end
        self._found = found

    def start(self, sweep: Sweep) -> None:
        sweep.wait(self, self._end)

    def ready(self, sweep: Sweep) -> None:
        self._found.append(self._end.recv(1))
        sweep.end(self, self._end)

    def late(self, sweep: Sweep) -> None:
        self._found.append(None)
        sweep.end(self, self._end)


@pytest.mark.parametrize(("bound", "number"), [(1, 3), (5, 23), (100, 7)])
def test_no_more_wait_at_once_than_may(bound: int, number: int) -> None:
    class Counted(Waits):
        pass

    sweep = Sweep(bound, 0.01)
    sweep.run(Counted(more=1) for _number in range(number))
    sweep.close()
    assert Counted.most == min(bound, number)
    assert Counted.ended == number


def test_answers_are_told_from_silence() -> None:
    found: list = []
    pairs = [socket.socketpair() for _number in range(10)]
    for number, (_ours, theirs) in enumerate(pairs):
        if number % 2:
            theirs.send(b"%d" % number)
    sweep = Sweep(4, 0.05)
    sweep.run(Reads(ours, found) for ours, _theirs in pairs)
    sweep.close()
    for _ours, theirs in pairs:
        theirs.close()
    assert sorted(answer for answer in found if answer) == [b"1", b"3", b"5", b"7", b"9"]
    assert found.count(None) == 5
    assert all(ours.fileno() == -1 for ours, _theirs in pairs)


def test_probes_are_made_as_they_are_started() -> None:
    """Not all at once: there may be millions."""
    made = []

    class Counted(Waits):
        def late(self, sweep: Sweep) -> None:
            super().late(sweep)
            ahead.append(len(made) - type(self).ended)

    def make():
        for number in range(30):
            made.append(number)
            yield Counted()

    ahead: list[int] = []
    sweep = Sweep(3, 0.01)
    sweep.run(make())
    sweep.close()
    assert max(ahead) <= 3


def test_a_rate_holds_starts_back() -> None:
    class Counted(Waits):
        pass

    sweep = Sweep(100, 0.001, rate=200)
    began = time.monotonic()
    sweep.run(Counted() for _number in range(21))
    sweep.close()
    # Never faster; a busy machine may be slower.
    assert time.monotonic() - began >= 20 / 200
    assert Counted.ended == 21
