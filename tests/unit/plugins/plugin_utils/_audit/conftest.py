# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for tests of deliveries: a log with metrics, a witness, no proxy."""

from __future__ import annotations

import pytest
from delivery_lab import Log, Witness

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.metrics.counters import MetricsSink, Tally


@pytest.fixture
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def log(tmp_path, no_proxy):
    (tmp_path / "log").mkdir()
    made = Log(tmp_path / "log")
    tally = Tally()
    tally.add("ansible.builtin.copy", "ok", 4)
    details = {"status": "success", "duration_ms": 5, **tally.details()}
    end = {"run_id": "a", "timestamp": "2026-01-02T03:04:05.500Z", "script": "/a/b.yml", "details": details}
    MetricsSink(str(made.directory), None).fold(end)
    return made


@pytest.fixture
def witness(log, tmp_path):
    with Witness(tmp_path / "witness.state", log.signer.verifier.vkey) as server:
        yield server
