# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for tests of guarded tasks."""

from __future__ import annotations

import pytest
from guard_lab import GuardLab, Service


@pytest.fixture
def lab(tmp_path):
    """A controller whose host has a local connection."""
    return GuardLab(tmp_path)


@pytest.fixture
def service():
    """Returns a function that starts a service with given answers."""
    started = []

    def start(*answers):
        started.append(Service(*answers))
        return started[-1]

    yield start
    for one in started:
        one.close()
