# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network in which probes are tested."""

from __future__ import annotations

import pytest
from probe_lab import ProbeLab


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """Three namespaces in a row."""
    with ProbeLab(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture
def healed(lab):
    """Undo the fault of each test."""
    yield
    lab.heal()
