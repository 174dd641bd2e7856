# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a run: its status and what its last record tells."""

from __future__ import annotations

from collections.abc import Mapping

from ..metrics.counters import Tally
from .canonical import plain

__all__ = ["END_HOSTS", "end_details", "run_status"]

END_HOSTS = 400
"""So many hosts are listed one by one at the end of a run; those without trouble beyond it only count."""


def _without_zeros(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def run_status(hosts: Mapping[str, Mapping[str, int]]) -> str:
    """Return ``failed``, ``unreachable`` or ``success`` from the statistics of all hosts."""
    if any(counts.get("failures") for counts in hosts.values()):
        return "failed"
    if any(counts.get("unreachable") for counts in hosts.values()):
        return "unreachable"
    return "success"


def end_details(status: str, milliseconds: int, hosts: Mapping[str, Mapping[str, int]], tally: Tally) -> dict:
    """Return the details of the end of a run.

    :param hosts: ``{host: {ok, changed, failures, unreachable, skipped, rescued, ignored}}``.
    """
    totals: dict[str, int] = {"hosts": len(hosts), "changed": 0, "failed": 0, "unreachable": 0}
    for counts in hosts.values():
        totals["changed"] += counts.get("changed", 0)
        totals["failed"] += counts.get("failures", 0)
        totals["unreachable"] += 1 if counts.get("unreachable") else 0
    order = sorted(hosts, key=lambda host: (not (hosts[host].get("failures") or hosts[host].get("unreachable")), host))
    told = {str(plain(host)): _without_zeros(hosts[host]) for host in order[:END_HOSTS]}
    details = {"status": status, "duration_ms": milliseconds, "totals": totals, "hosts": told, **tally.details()}
    if len(hosts) > END_HOSTS:
        details["hosts_left_out"] = len(hosts) - END_HOSTS
    return details
