# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as metrics in Prometheus' text format."""

from __future__ import annotations

from ...module_utils._audit.metrics.figures import Family, Sample, prometheus_text
from .report import Pair, Report

__all__ = ["metrics_text"]


def metrics_text(report: Report) -> str:
    """Return the metrics of a report, all of them gauges."""
    families = [
        Family("network_score", "gauge", "Health of a target, 0 to 100, as seen from a host.", _scores(report)),
        Family("network_up", "gauge", "Whether no layer of a target is at fault.", _ups(report)),
        Family("network_fault", "gauge", "The first broken layer of a target.", _faults(report)),
        Family(
            "network_check_latency_seconds", "gauge", "How long the answer to a check took.", _latencies(report), "s"
        ),
        Family("network_failure_ratio", "gauge", "Share of the rounds kept that failed, 0 to 1.", _ratios(report)),
        Family("network_host_reached", "gauge", "Whether a host gave a result.", _hosts(report)),
        Family(
            "network_last_run_timestamp_seconds", "gauge", "When this was found.", [Sample(int(report.generated))], "s"
        ),
    ]
    return prometheus_text(family for family in families if family.samples)


def _labels(pair: Pair, **more: str) -> dict[str, str]:
    return {"vantage": pair.vantage, "target": pair.target, **more}


def _scores(report: Report) -> list[Sample]:
    return [Sample(pair.outcome["score"], _labels(pair, type=str(pair.outcome["type"]))) for pair in report.pairs]


def _ups(report: Report) -> list[Sample]:
    return [Sample(int(not pair.failed), _labels(pair)) for pair in report.pairs]


def _faults(report: Report) -> list[Sample]:
    return [Sample(1, _labels(pair, layer=str(pair.outcome["fault"]["layer"]))) for pair in report.pairs if pair.failed]


def _latencies(report: Report) -> list[Sample]:
    return [
        Sample(check["latency_ms"] / 1000, _labels(pair, rule=str(check["rule"])))
        for pair in report.pairs
        for check in pair.outcome["checks"]
        if check.get("latency_ms") is not None
    ]


def _ratios(report: Report) -> list[Sample]:
    return [Sample(round(pair.history.failure_rate, 4), _labels(pair)) for pair in report.pairs if pair.history]


def _hosts(report: Report) -> list[Sample]:
    reached = [Sample(1, {"vantage": host}) for host in report.results]
    return reached + [Sample(0, {"vantage": host}) for host in report.missing]
