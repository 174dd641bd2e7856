# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of several rooms share: results as ``network_probe`` gives them, for what stands on them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def made() -> SimpleNamespace:
    """Gives ``outcome(name, failed, score)`` and ``probed(*outcomes)``."""
    return SimpleNamespace(outcome=outcome, probed=probed)


def outcome(name: str, failed: bool = False, score: int | None = None, **more) -> dict:
    """Return the outcome of one target; a failed one is refused at its TCP port."""
    score = (40 if failed else 100) if score is None else score
    fault = {
        "layer": "tcp",
        "rule": "port",
        "kind": "unavailable",
        "message": "connection refused",
        "remediation": "Start the service.",
    }
    check = {
        "rule": "port",
        "type": "tcp",
        "layer": "tcp",
        "status": "failed" if failed else "ok",
        "weight": 1,
        "score": score,
        "kind": "unavailable" if failed else None,
        "message": "connection refused" if failed else "",
        "latency_ms": None if failed else 1.5,
        "facts": {},
        "remediation": "Start the service." if failed else "",
    }
    state = "failed" if failed else "ok"
    return {
        "item": name,
        "address": f"{name}.example.com",
        "type": "host",
        "info": {},
        "addresses": ["192.0.2.5"],
        "score": score,
        "grade": grade(score),
        "fault": fault if failed else None,
        "layers": {"route": "ok", "dns": "ok", "tcp": state, "tls": "not_probed", "application": "not_probed"},
        "checks": [check],
        **more,
    }


def grade(score: int) -> str:
    return "EXCELLENT" if score >= 90 else "GOOD" if score >= 75 else "FAIR" if score >= 60 else "CRITICAL"


def probed(*outcomes: dict, hostname: str = "here") -> dict:
    """Return a whole result."""
    score = sum(entry["score"] for entry in outcomes) // len(outcomes) if outcomes else 100
    failed = sum(entry["fault"] is not None for entry in outcomes)
    return {
        "changed": False,
        "failed": False,
        "outcomes": list(outcomes),
        "score": score,
        "grade": grade(score),
        "counts": {"targets": len(outcomes), "ok": len(outcomes) - failed, "degraded": 0, "failed": failed},
        "vantage": {"hostname": hostname},
        "started": "2026-12-01T17:00:00.000Z",
        "wall_seconds": 0.1,
    }
