# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Score and verdict. Both follow from the checks alone, so that anybody can compute them again from the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..targets.rules import LAYER_OF, LAYERS

__all__ = ["SCORES", "fault_of", "grade", "layers_of", "mean_score", "score_of", "status_of"]

SCORES = {"ok": 100, "degraded": 70, "failed": 0, "not_reached": 0}
_GRADES = ((90, "EXCELLENT"), (75, "GOOD"), (60, "FAIR"), (0, "CRITICAL"))
_REMEDIES = {
    "route": "Check the link, the address and the routes of this host, and that the other host is up.",
    "dns": "Check the record of the name and the name servers in /etc/resolv.conf.",
    "tcp": "Check that the service runs, and the firewalls on the way.",
    "tls": "Check the certificate of the service.",
    "application": "Check the filters on the way.",
}
"""What to do where a rule failed at another layer than its own, of which its own remediation knows nothing."""
_PRECEDENCE = ("failed", "ok", "not_reached", "not_probed")


def score_of(checks: Sequence[Mapping[str, Any]]) -> int:
    """Return the mean of the scores of checks by their weights, rounded down."""
    return sum(check["score"] * check["weight"] for check in checks) // sum(check["weight"] for check in checks)


def mean_score(scores: Sequence[int]) -> int:
    """Return the mean, rounded down."""
    return sum(scores) // len(scores)


def grade(score: int) -> str:
    """Return the word for a score."""
    return next(word for least, word in _GRADES if score >= least)


def status_of(checks: Sequence[Mapping[str, Any]]) -> str:
    """Return ``failed`` if any check failed or was not reached, else ``degraded`` if any is, else ``ok``."""
    found = {check["status"] for check in checks}
    if found & {"failed", "not_reached"}:
        return "failed"
    return "degraded" if "degraded" in found else "ok"


def fault_of(checks: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the failed check of the lowest layer, the cause; ``None`` if none failed."""
    failed = [check for check in checks if check["status"] == "failed"]
    if not failed:
        return None
    first = min(failed, key=lambda check: LAYERS.index(check["layer"]))
    fault = {name: first[name] for name in ("layer", "rule", "kind", "message", "remediation")}
    if first["layer"] != LAYER_OF[first["type"]]:
        fault["remediation"] = _REMEDIES[first["layer"]]
    return fault


def layers_of(checks: Sequence[Mapping[str, Any]], needs: Sequence[Sequence[str]], passed: set[str]) -> dict[str, str]:
    """Return what is known of each layer: ``failed`` if a check failed there, ``ok`` if one got through it,
    ``not_reached`` if all that need it failed before, ``not_probed`` if none needs it.

    :param needs: the layers that each check goes through.
    :param passed: layers that hold for all checks.
    """
    seen = {layer: {"not_probed"} for layer in LAYERS}
    for layer in passed:
        seen[layer].add("ok")
    for check, needed in zip(checks, needs):
        broken = LAYERS.index(check["layer"]) if check["status"] == "failed" else len(LAYERS)
        if check["status"] == "failed":
            seen[check["layer"]].add("failed")
        for layer in needed:
            place = LAYERS.index(layer)
            if check["status"] == "not_reached" or place > broken:
                seen[layer].add("not_reached")
            elif place < broken and (layer != "route" or check["status"] != "failed"):
                # Of an echo that was not sent, since the name has no address, nothing is known of the route.
                seen[layer].add("ok")
    return {layer: next(word for word in _PRECEDENCE if word in seen[layer]) for layer in LAYERS}
