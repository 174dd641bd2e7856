# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a scan found: hosts that are there with their open ports, counts of the rest, and what is against the policy."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timezone
from ipaddress import ip_address

from ..._core.errors import ToolkitError, UnavailableError, UnsafeError
from .host import STATES, Host, Tally
from .request import Request, Target

__all__ = ["Report"]

_NAMED = 3


class Report:
    """Collects what was found.

    :param began: seconds since the epoch.
    :ivar unavailable: methods of discovery that could not be used, and why.
    """

    def __init__(self, request: Request, began: float) -> None:
        self.unavailable: dict[str, str] = {}
        self._request = request
        self._began = began
        self._clock = time.monotonic()
        self._outcomes: list[dict] = []
        self._errors: list[ToolkitError] = []
        self._violations: list[dict] = []
        self._rules: Counter[str] = Counter()
        self._states = [0] * len(STATES)
        self._addresses = 0

    def fail(self, target: Target, error: ToolkitError) -> None:
        """Note that a target can't be scanned."""
        error.item = target.item
        self._errors.append(error)
        outcome = {"item": target.item, "changed": False, "target": target.item, "failed": True}
        self._outcomes.append({**outcome, "error": error.as_dict()})

    def add(self, target: Target, hosts: list[Host], tally: Tally, neighbours: Mapping[tuple[str, int], dict]) -> None:
        """Add the hosts of a target that were found.

        :param neighbours: entries of the kernel's table by address and zone.
        """
        self._addresses += target.size
        self._states = [one + other for one, other in zip(self._states, tally.counts)]
        for host in sorted(hosts, key=lambda host: ip_address(host.address)):
            name = self._request.services.name
            ports = [
                {"port": port, "protocol": protocol, "service": name(protocol, port), "banner": banner}
                for protocol, port, banner in sorted(host.open, key=lambda one: one[:2])
            ]
            outcome = {
                "item": target.item if target.single else host.address,
                "changed": False,
                "target": target.item,
                "address": host.address,
                "up": host.answered_by is not None,
                "answered_by": host.answered_by,
                "latency_ms": None if host.latency is None else round(host.latency * 1000, 3),
                "mac": neighbours.get((host.address, host.zone), {}).get("mac"),
                "ports": ports,
                "counts": dict(zip(STATES, host.counts)),
            }
            outcome["violations"] = self._hold(target, host, outcome["item"])
            self._outcomes.append(outcome)

    def _hold(self, target: Target, host: Host, item: str) -> int:
        """Hold a host against the policy of its target; return the number of violations."""
        number = 0
        for violation in target.policy.violations(host):
            number += 1
            self._rules[violation.rule] += 1
            if len(self._violations) < self._request.limit:
                service = self._request.services.name(violation.protocol, violation.port)
                found = {"item": item, "address": host.address, "port": violation.port, "protocol": violation.protocol}
                said = {"service": service, "rule": violation.rule, "found": violation.found, "hint": violation.hint}
                self._violations.append({**found, **said})
        return number

    def result(self) -> dict:
        """Return the result of the module; a failing one if a target could not be scanned, or there are violations and
        that is to fail."""
        total = sum(self._rules.values())
        started = datetime.fromtimestamp(self._began, timezone.utc)
        result = {
            "changed": False,
            "ok": not total and not self._errors,
            "outcomes": self._outcomes,
            "violations": self._violations,
            "violation_count": total,
            "violation_counts": dict(self._rules),
            "counts": {
                "addresses": self._addresses,
                "up": sum(outcome.get("up", False) for outcome in self._outcomes),
                **dict(zip(STATES, self._states)),
            },
            "discovery": {
                "used": [method for method in self._request.discovery if method not in self.unavailable],
                "unavailable": self.unavailable,
            },
            "started": started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "wall_seconds": round(time.monotonic() - self._clock, 3),
        }
        if self._errors:
            result.update(self._errors[0].as_result())
            if len(self._errors) > 1:
                result["msg"] += f" {len(self._errors) - 1} more failed: {self._others()}."
        elif total and self._request.fail_on_violation:
            result.update(self._error(total).as_result())
        return result

    def _others(self) -> str:
        return ", ".join(str(error.item) for error in self._errors[1:])

    def _error(self, total: int) -> ToolkitError:
        """Return the error of violations: ``unsafe`` if a port is open that must not be, else ``unavailable``."""
        bad = [outcome["item"] for outcome in self._outcomes if outcome.get("violations")]
        named = [_told(one) for one in self._violations[:_NAMED]]
        more = [f"and {total - len(named)} more"] if total > len(named) else []
        violations = "1 violation" if total == 1 else f"{total} violations"
        hosts = "1 host" if len(bad) == 1 else f"{len(bad)} hosts"
        family = UnavailableError if set(self._rules) == {"expected"} else UnsafeError
        return family(
            f"{violations} on {hosts}. {'; '.join([*named, *more])}.",
            hint="Mend them, the hint of each violation says how; or change expected, allowed or forbidden.",
            item=bad[0] if len(bad) == 1 else None,
        )


def _told(violation: Mapping) -> str:
    service = f" ({violation['service']})" if violation["service"] else ""
    rule = {"expected": "expected open", "allowed": "not allowed", "forbidden": "forbidden"}[violation["rule"]]
    return f"{violation['item']}: {violation['port']}/{violation['protocol']}{service} is {violation['found']}, {rule}"
