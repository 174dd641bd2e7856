# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for tests of the audit trail in real runs."""

from __future__ import annotations

import pytest
from audit_lab import COLLECTIONS, Controller


@pytest.fixture
def controller(tmp_path):
    return Controller(tmp_path, COLLECTIONS)
