# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for tests of the whole profile."""

from __future__ import annotations

import pytest

from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts import Hosts


@pytest.fixture(scope="session")
def hosts() -> Hosts:
    return Hosts()
