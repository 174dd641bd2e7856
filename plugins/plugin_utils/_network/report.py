# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What several hosts found of their targets, as one thing that all forms of the report are made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...module_utils._core.errors import ValidationError
from ...module_utils._network.history import History
from ...module_utils._network.probe.verdict import grade
from .causes import Cause, Failure, causes_of

__all__ = ["Pair", "Report", "read_results", "rows"]

_NEEDED = ("item", "address", "type", "score", "grade", "fault", "layers", "checks")


@dataclass(frozen=True)
class Pair:
    """A target as seen from a vantage point (a host of the play); ``outcome`` is of ``network_probe``."""

    vantage: str
    outcome: Mapping[str, Any]
    history: History | None = None

    @property
    def target(self) -> str:
        """The name of the target."""
        return str(self.outcome["item"])

    @property
    def failed(self) -> bool:
        """Whether a layer is at fault."""
        return self.outcome["fault"] is not None

    @property
    def latency_ms(self) -> float | None:
        """The quickest answer to any check, in milliseconds; ``None`` where nothing answered."""
        found = [check["latency_ms"] for check in self.outcome["checks"] if check.get("latency_ms") is not None]
        return min(found) if found else None


@dataclass(frozen=True)
class Report:
    """The whole.

    :param generated: seconds since the epoch.
    :param pairs: in the order of hosts and of their targets.
    :param results: of the hosts that gave one.
    :param missing: why a host gave none, by its name.
    """

    generated: float
    pairs: tuple[Pair, ...]
    results: Mapping[str, Mapping[str, Any]]
    missing: Mapping[str, str]

    @property
    def score(self) -> int:
        """The mean of all pairs, rounded down; a host without a result counts as one pair with 0."""
        count = len(self.pairs) + len(self.missing)
        return sum(pair.outcome["score"] for pair in self.pairs) // count if count else 0

    @property
    def grade(self) -> str:
        """The word for the score."""
        return grade(self.score)

    @property
    def vantages(self) -> list[str]:
        """The hosts that gave a result."""
        return list(self.results)

    @property
    def targets(self) -> list[str]:
        """The names of all targets, each once."""
        return list(dict.fromkeys(pair.target for pair in self.pairs))

    @property
    def counts(self) -> dict[str, int]:
        """``{hosts, missing, pairs, ok, failed}``."""
        failed = sum(pair.failed for pair in self.pairs)
        return {
            "hosts": len(self.results),
            "missing": len(self.missing),
            "pairs": len(self.pairs),
            "ok": len(self.pairs) - failed,
            "failed": failed,
        }

    def causes(self) -> list[Cause]:
        """Return what is wrong, as few sentences as it takes."""
        failures = [
            Failure(pair.vantage, pair.target, str(pair.outcome["fault"]["layer"]), pair.outcome["fault"])
            for pair in self.pairs
            if pair.failed
        ]
        probed = [(pair.vantage, pair.target) for pair in self.pairs]
        return causes_of(failures, probed)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON and for the result of the action; everything else can be made again from this."""
        return {
            "score": self.score,
            "grade": self.grade,
            "counts": self.counts,
            "missing": dict(self.missing),
            "causes": [cause.as_dict() for cause in self.causes()],
            "pairs": [_pair(pair) for pair in self.pairs],
        }


def _pair(pair: Pair) -> dict[str, Any]:
    told = {key: pair.outcome[key] for key in ("address", "type", "score", "grade", "fault", "layers")}
    history = pair.history.as_dict() if pair.history else None
    return {"vantage": pair.vantage, "target": pair.target, "latency_ms": pair.latency_ms, **told, "history": history}


def read_results(results: Mapping[str, Any]) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
    """Return the results of hosts that gave one, and why the others did not.

    :param results: what each host's task of ``network_probe`` returned; nothing for a host that was not reached.
    :raises ValidationError: there is none, or one is no result of ``network_probe``.
    """
    if not results:
        raise ValidationError("results is empty.", hint="Give the result of network_probe of each host by its name.")
    found: dict[str, Mapping[str, Any]] = {}
    missing: dict[str, str] = {}
    for host, result in results.items():
        if isinstance(result, Mapping) and result.get("outcomes") is not None:
            _check(str(host), result)
            found[str(host)] = result
        elif not result or not isinstance(result, Mapping) or result.get("unreachable"):
            missing[str(host)] = "The host was not reached."
        else:
            missing[str(host)] = str(result.get("msg") or "It gave no result.")
    return found, missing


def _check(host: str, result: Mapping[str, Any]) -> None:
    outcomes = result["outcomes"]
    sound = isinstance(outcomes, (list, tuple)) and all(
        isinstance(outcome, Mapping) and all(key in outcome for key in _NEEDED) for outcome in outcomes
    )
    if not sound:
        raise ValidationError(
            f"results.{host} is no result of network_probe.", hint="Register that task and give what it returned."
        )


def rows(report: Report) -> Iterator[tuple[str, list[Pair]]]:
    """Yield each host with its pairs."""
    for vantage in report.vantages:
        yield vantage, [pair for pair in report.pairs if pair.vantage == vantage]
