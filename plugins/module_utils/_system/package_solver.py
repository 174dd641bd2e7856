# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which package requests apt can do together and safely, found by simulation; nothing here changes the host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .._core.errors import ConflictError, ToolkitError, UnsafeError
from .apt import Apt, Simulation
from .debian_version import compare_versions
from .dpkg import Installed
from .package_requests import Request

__all__ = ["ALLOWANCES", "Solver", "Verdict"]

ALLOWANCES = ("downgrade", "essential", "held", "removals")
"""What a person can allow: older versions, the loss of essential packages, changes of packages on hold, and the removal
of packages that nobody asked to remove."""


@dataclass
class Verdict:
    """What came of a simulation: refusals by request, or one for all where nobody can be blamed alone."""

    simulation: Simulation
    blamed: dict[str, ToolkitError] = field(default_factory=dict)
    error: ToolkitError | None = None

    @property
    def clean(self) -> bool:
        return not self.blamed and self.error is None


class Solver:
    """Simulates requests and applies the safety rules.

    :param apt: apt-get.
    :param installed: the packages of the host.
    :param allow: which of :data:`ALLOWANCES` are given.
    :param purge: removals remove the configuration too.
    :param fix: what dpkg left half-way is to be put right as well.
    """

    def __init__(self, apt: Apt, installed: Installed, allow: Iterable[str], purge: bool, fix: bool) -> None:
        self._apt = apt
        self._installed = installed
        self._allow = set(allow)
        self._purge = purge
        self._fix = fix

    def arguments(self, requests: Sequence[Request]) -> list[str]:
        """Return how apt-get install is told of the requests."""
        purge = self._purge and any(request.state == "absent" for request in requests)
        options = [*(["--purge"] if purge else []), *(["--fix-broken"] if self._fix else [])]
        return [*options, *(request.argument() for request in requests)]

    def examine(self, requests: Sequence[Request]) -> Verdict:
        """Simulate the requests together."""
        simulation = self._apt.simulate(self.arguments(requests))
        blamed = {
            request.name: error
            for name, error in simulation.blamed.items()
            for request in requests
            if request.blamed(name)
        }
        for request in requests:
            found = request.found(self._installed)
            if request.state == "absent" and found is not None and found.vital and "essential" not in self._allow:
                blamed[request.name] = UnsafeError(
                    f"packages: {request.name} is essential for this system and was not removed.",
                    hint="Set allow: [essential] if it really must go.",
                    item=request.name,
                )
        error = simulation.error if simulation.error is not None else self._refusal(requests, simulation)
        return Verdict(simulation, blamed, None if blamed else error)

    def refused(self, requests: Sequence[Request], verdict: Verdict) -> dict[str, ToolkitError]:
        """Return the requests to leave out after an examination that was not clean, at least one.

        Where packages exclude each other, apt names the victim rather than the culprit. So each is tried alone, those
        that apt named and removals first, and who can't be had even then is the one. If all can, those named are.
        """
        certain = {name: error for name, error in verdict.blamed.items() if not isinstance(error, ConflictError)}
        if certain or len(requests) == 1:
            return certain or verdict.blamed or {requests[0].name: verdict.error}
        near = [request for request in requests if request.name in verdict.blamed or request.state == "absent"]
        alone: dict[str, ToolkitError] = {}
        for suspects in (near, [request for request in requests if request not in near]):
            for request in suspects:
                single = self.examine([request])
                if not single.clean:
                    alone[request.name] = single.blamed.get(request.name) or single.error
            if alone:
                break
        return alone or verdict.blamed or {request.name: verdict.error for request in requests}

    def _refusal(self, requests: Sequence[Request], simulation: Simulation) -> ToolkitError | None:
        """Return why these steps are not taken, or ``None``."""
        asked = {request.name.partition(":")[0] for request in requests if request.state == "absent"}
        removed = sorted(step.name for step in simulation.steps if step.verb != "Inst")
        others = [name for name in removed if name.partition(":")[0] not in asked]
        vital = [name for name in removed if getattr(self._installed.get(name), "vital", False)]
        if vital and "essential" not in self._allow:
            return UnsafeError(
                f"packages: this would remove {', '.join(vital)}, essential for this system.",
                hint="Set allow: [essential] if it really must go.",
            )
        if others and "removals" not in self._allow:
            return UnsafeError(
                f"packages: this would also remove {', '.join(others)}.",
                hint="List them with state: absent, or set allow: [removals].",
            )
        older = [
            f"{step.name} from {step.before} to {step.after}"
            for step in simulation.steps
            if step.before and step.after and compare_versions(step.before, step.after) > 0
        ]
        if older and "downgrade" not in self._allow:
            return UnsafeError(
                f"packages: this would downgrade {', '.join(older)}.",
                hint="Set allow: [downgrade] if the older version is wanted.",
            )
        held = [step.name for step in simulation.steps if getattr(self._installed.get(step.name), "held", False)]
        if held and "held" not in self._allow:
            return ConflictError(
                f"packages: this would change {', '.join(sorted(set(held)))}, which is on hold.",
                hint="Release it with apt-mark unhold, or set allow: [held].",
            )
        return None
