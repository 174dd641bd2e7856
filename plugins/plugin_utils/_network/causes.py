# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many failures, few causes: who is at fault when several hosts look at several targets.

A host that reaches none of the others, while other hosts reach some of them, is the cause itself. A target that no
other host reaches is the cause for all of them. What is left lies between two of them. That a host reaches itself says
nothing of its network, so it counts only where nobody else looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Cause", "Failure", "causes_of"]


@dataclass(frozen=True)
class Failure:
    """A target that a vantage point found broken at a layer; ``fault`` is of ``network_probe``."""

    vantage: str
    target: str
    layer: str
    fault: Mapping[str, Any]


@dataclass(frozen=True)
class Cause:
    """What is wrong.

    :param kind: ``vantage`` (the host's own network), ``target``, or ``path`` (between the two).
    :param where: the name of the host or target, or both.
    :param layers: the layers at fault, the most frequent first.
    :param failures: what it explains.
    """

    kind: str
    where: str
    layers: tuple[str, ...]
    failures: tuple[Failure, ...]

    @property
    def summary(self) -> str:
        """One sentence without what the network said."""
        layers, count = " and ".join(self.layers), len(self.failures)
        if self.kind == "vantage":
            own = sum(failure.vantage == self.where != failure.target for failure in self.failures)
            return f"{self.where} reaches none of its {own} targets: {layers} at fault"
        if self.kind == "target":
            return f"{self.where}: {layers} at fault, seen from {_hosts(count)}"
        return f"{self.where}: {layers} at fault"

    def as_dict(self) -> dict[str, Any]:
        """Return it for a result."""
        first = self.failures[0].fault
        return {
            "kind": self.kind,
            "where": self.where,
            "layers": list(self.layers),
            "summary": self.summary,
            "message": str(first.get("message") or ""),
            "remediation": str(first.get("remediation") or ""),
            "pairs": [{"vantage": failure.vantage, "target": failure.target} for failure in self.failures],
        }


def _hosts(count: int) -> str:
    return "one host" if count == 1 else f"{count} hosts"


def causes_of(failures: Sequence[Failure], probed: Iterable[tuple[str, str]]) -> list[Cause]:
    """Return the causes of the failures, those that explain most first.

    :param probed: all pairs of vantage point and target, failed or not.
    """
    pairs = set(probed)
    broken = {(failure.vantage, failure.target) for failure in failures}
    left = list(failures)
    causes = []
    for vantage in dict.fromkeys(failure.vantage for failure in failures):
        own = {pair for pair in pairs if pair[0] == vantage != pair[1]}
        reached = {target for host, target in pairs - broken if host not in (vantage, target)}
        if len(own) > 1 and own <= broken and any(target in reached for _host, target in own):
            # If nobody reaches it either, that is the same cause.
            to_it = {pair for pair in pairs if pair[0] != vantage == pair[1]} <= broken
            mine, rest = [], []
            for failure in left:
                taken = failure.vantage == vantage or (to_it and failure.target == vantage)
                (mine if taken else rest).append(failure)
            causes.append(_cause("vantage", vantage, mine))
            left = rest
    blind = {cause.where for cause in causes}
    for target in dict.fromkeys(failure.target for failure in left):
        seen = {pair for pair in pairs if pair[1] == target and pair[0] not in blind}
        others = {pair for pair in seen if pair[0] != target}
        if (others or seen) <= broken:
            causes.append(_cause("target", target, [failure for failure in left if failure.target == target]))
    explained = {cause.where for cause in causes if cause.kind == "target"}
    for failure in left:
        if failure.target not in explained:
            causes.append(_cause("path", f"{failure.vantage} -> {failure.target}", [failure]))
    return sorted(causes, key=lambda cause: -len(cause.failures))


def _cause(kind: str, where: str, failures: list[Failure]) -> Cause:
    layers = [failure.layer for failure in failures]
    ordered = sorted(dict.fromkeys(layers), key=lambda layer: -layers.count(layer))
    return Cause(kind, where, tuple(ordered), tuple(failures))
