# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real timer of this process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

import pytest

from ansible_collections.scripts.toolkit.plugins.plugin_utils._guard.alarm import TimeIsUp, end_children, limited_to


class Theirs(BaseException):
    """What the alarm of the task keyword raises."""


@pytest.fixture
def their_alarm():
    """An alarm as ansible-core sets it for the keyword ``timeout``, in whole seconds."""

    def expired(_number, _frame):
        raise Theirs

    before = signal.signal(signal.SIGALRM, expired)
    yield signal.alarm
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def state():
    return signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)


def test_it_ends_what_takes_too_long_and_leaves_nothing_behind():
    before = state()
    with pytest.raises(TimeIsUp), limited_to(0.05):
        time.sleep(30)
    assert state() == before
    with limited_to(30):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert state() == before


def test_no_handler_of_exceptions_on_the_way_swallows_it():
    def careless():
        try:
            time.sleep(30)
        except Exception:
            pytest.fail("swallowed")

    with pytest.raises(TimeIsUp), limited_to(0.05):
        careless()


def test_a_later_alarm_of_the_task_goes_on_with_what_is_left(their_alarm):
    their_alarm(100)
    with pytest.raises(TimeIsUp), limited_to(0.1):
        time.sleep(30)
    handler, (left, _interval) = state()
    assert 90 < left < 99.95
    assert handler is not signal.SIG_DFL
    with limited_to(60):
        pass
    assert 90 < signal.getitimer(signal.ITIMER_REAL)[0] < 99.95


def test_an_earlier_alarm_of_the_task_is_left_to_it(their_alarm):
    their_alarm(1)
    with pytest.raises(Theirs), limited_to(30):
        time.sleep(30)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_an_alarm_that_came_due_meanwhile_rings_afterwards(their_alarm):
    def late():
        with contextlib.suppress(TimeIsUp), limited_to(0.1):
            time.sleep(30)
        time.sleep(30)

    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(Theirs):
        late()


def test_children_are_killed_and_reaped():
    processes = [subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 600"]) for _time in range(2)]
    try:
        end_children()
        for process in processes:
            with pytest.raises(ChildProcessError):
                # Nothing is left to wait for.
                os.waitpid(process.pid, 0)
    finally:
        for process in processes:
            process.wait()
