# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics to servers: Pushgateway, OTLP over HTTP, InfluxDB.

Sources: https://github.com/prometheus/pushgateway (API), https://opentelemetry.io/docs/specs/otlp/ (OTLP/HTTP, JSON
encoding), https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlencode, urlsplit

from ...module_utils._audit.metrics.figures import PREFIX, Family, Histogram, Sample, prometheus_text
from ...module_utils._audit.metrics.targets import SinkTarget
from ...module_utils._core.errors import UnavailableError
from .exchange import exchange, refusal

__all__ = ["influx_lines", "otlp_json", "send"]

_SERVICE = "scripts-toolkit"


def send(target: SinkTarget, families: Sequence[Family], version: str = "") -> None:
    """Send the metrics to the sink; sending them again changes nothing.

    :param version: of this collection.
    :raises UnavailableError, TimeoutExpired: it did not take them; trying again may help.
    :raises ValidationError: a file that the sink's URL names can't be used.
    """
    host = socket.gethostname()
    path = urlsplit(target.access.url).path.rstrip("/")
    if target.kind == "pushgateway":
        if "/metrics/job" not in path:
            path += f"/metrics/job/scripts_toolkit/instance/{quote(host, safe='')}"
        # PUT replaces the group, so that a label which is no longer there does not stay for ever.
        text = prometheus_text(families).encode()
        answer = exchange(target.access, "PUT", path, text, "text/plain; version=0.0.4; charset=utf-8")
    elif target.kind == "otlp":
        body = json.dumps(otlp_json(families, host, version, time.time_ns())).encode("ascii")
        answer = exchange(target.access, "POST", path or "/v1/metrics", body, "application/json")
    else:
        write = "/write" if "db" in dict(target.query) else "/api/v2/write"
        query = urlencode([*target.query, ("precision", "s")])
        lines = influx_lines(families, host, int(time.time())).encode()
        answer = exchange(target.access, "POST", f"{path}{write}?{query}", lines, "text/plain; charset=utf-8", "Token")
    if not 200 <= answer.status < 300:
        raise refusal(target.access, answer)
    if target.kind == "otlp":
        _look_for_rejected(answer.body)


def _look_for_rejected(body: bytes) -> None:
    """A server may take a part and say so: ``{"partialSuccess": {"rejectedDataPoints": "5", "errorMessage": ...}}``."""
    try:
        partial = json.loads(body or b"{}").get("partialSuccess") or {}
        rejected = int(partial.get("rejectedDataPoints") or 0)
        said = str(partial.get("errorMessage") or "no reason")[:200]
    except (ValueError, TypeError, AttributeError):
        return  # the status says that all is well; the body of some servers is no JSON
    if rejected:
        raise UnavailableError(f"The server rejected {rejected} data points: {ascii(said)[1:-1]}")


def _attributes(labels: Iterable[tuple[str, str]]) -> list[dict]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in labels]


def _otlp_name(family: Family) -> str:
    """Units and kinds are fields in OTLP; names don't repeat them."""
    name = re.sub(r"_total$", "", family.name)
    suffix = {"s": "_seconds", "By": "_bytes"}.get(family.unit, "")
    name = name[: -len(suffix)] if suffix and name.endswith(suffix) else name
    return f"{PREFIX[:-1]}.{name}"


def _otlp_point(family: Family, sample: Sample, now: int) -> dict:
    point: dict = {"attributes": _attributes(sample.labels.items()), "timeUnixNano": str(now)}
    if family.kind != "gauge":
        point["startTimeUnixNano"] = str(family.since * 1_000_000_000)
    value = sample.value
    if isinstance(value, Histogram):
        point["count"] = str(sum(value.counts))
        point["sum"] = value.total
        point["bucketCounts"] = [str(count) for count in value.counts]
        point["explicitBounds"] = list(value.bounds)
    elif isinstance(value, int):
        point["asInt"] = str(value)
    else:
        point["asDouble"] = value
    return point


def otlp_json(families: Iterable[Family], host: str, version: str, now: int) -> dict:
    """Return an ``ExportMetricsServiceRequest`` in protobuf's JSON mapping: 64-bit integers are strings.

    :param now: nanoseconds since the epoch.
    """
    metrics = []
    for family in families:
        points = [_otlp_point(family, sample, now) for sample in family.samples]
        if family.kind == "gauge":
            data: dict = {"gauge": {"dataPoints": points}}
        elif family.kind == "histogram":
            data = {"histogram": {"dataPoints": points, "aggregationTemporality": 2}}
        else:
            data = {"sum": {"dataPoints": points, "aggregationTemporality": 2, "isMonotonic": True}}
        metrics.append({"name": _otlp_name(family), "description": family.text, "unit": family.unit, **data})
    resource = _attributes([("service.name", _SERVICE), ("service.version", version), ("host.name", host)])
    scope = {"name": "scripts.toolkit.audit", "version": version}
    return {
        "resourceMetrics": [
            {"resource": {"attributes": resource}, "scopeMetrics": [{"scope": scope, "metrics": metrics}]}
        ]
    }


def _escaped(text: str) -> str:
    # A backslash can't be escaped in this format, only precede what it escapes.
    return re.sub(r"([,= ])", r"\\\1", text.replace("\\", "_").replace("\n", " "))


def _influx_field(value: int | float) -> str:
    return f"{value}i" if isinstance(value, int) else repr(value)


def influx_lines(families: Iterable[Family], host: str, now: int) -> str:
    """Return the metrics in line protocol: a measurement each, labels as tags with ``host``, the field ``value``.

    Histograms have the fields ``count``, ``sum`` and, as Telegraf has it, one named after each bucket's upper bound
    with what lies at or below it.

    :param now: seconds since the epoch.
    """
    lines = []
    for family in families:
        for sample in family.samples:
            tags = "".join(f",{key}={_escaped(value)}" for key, value in sorted(sample.labels.items()) if value)
            value = sample.value
            if isinstance(value, Histogram):
                total, fields = 0, []
                for bound, count in zip([*(f"{bound:g}" for bound in value.bounds), "+Inf"], value.counts, strict=True):
                    total += count
                    fields.append(f"{bound}={total}i")
                fields += [f"count={total}i", f"sum={value.total!r}"]
            else:
                fields = [f"value={_influx_field(value)}"]
            lines.append(f"{PREFIX}{family.name},host={_escaped(host)}{tags} {','.join(fields)} {now}")
    return "\n".join(lines) + "\n"
