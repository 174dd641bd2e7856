# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as JUnit XML: a suite for each host, a test case for each check.

It keeps to what both common schemas ask for: that of Ant's JUnit task, written down by Windy Road
(https://github.com/windyroad/JUnit-Schema), and that of Jenkins' xUnit plugin (junit-10.xsd).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any
from xml.etree import ElementTree

from ...module_utils._audit.search.render import clean
from .report import Pair, Report, rows

__all__ = ["junit_xml"]

_TAGS = {"failed": "failure", "not_reached": "skipped"}


def junit_xml(report: Report) -> bytes:
    """Return the report as UTF-8. A degraded check passes; a host without a result is an error."""
    root = ElementTree.Element("testsuites")
    stamp = datetime.fromtimestamp(report.generated, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    for number, (vantage, pairs) in enumerate(rows(report)):
        cases = [_case(vantage, pair, check) for pair in pairs for check in pair.outcome["checks"]]
        seconds = float(report.results[vantage].get("wall_seconds") or 0)
        root.append(_suite(number, vantage, stamp, seconds, cases, _properties(report, vantage)))
    for number, (host, why) in enumerate(report.missing.items(), len(report.results)):
        case = ElementTree.Element("testcase", name="result", classname=_name(host), time="0.000")
        ElementTree.SubElement(case, "error", type="missing", message=clean(why))
        root.append(_suite(number, host, stamp, 0, [case], {}))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _suite(
    number: int,
    host: str,
    stamp: str,
    seconds: float,
    cases: list[ElementTree.Element],
    properties: Mapping[str, object],
) -> ElementTree.Element:
    suite = ElementTree.Element(
        "testsuite",
        name=_name(host),
        package="network",
        id=str(number),
        timestamp=stamp,
        hostname=_name(host),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped=str(sum(case.find("skipped") is not None for case in cases)),
        time=f"{seconds:.3f}",
    )
    kept = ElementTree.SubElement(suite, "properties")
    for name, value in properties.items():
        ElementTree.SubElement(kept, "property", name=name, value=clean(value))
    suite.extend(cases)
    ElementTree.SubElement(suite, "system-out")
    ElementTree.SubElement(suite, "system-err")
    return suite


def _properties(report: Report, vantage: str) -> dict[str, object]:
    result = report.results[vantage]
    return {"score": result.get("score"), "grade": result.get("grade")}


def _case(vantage: str, pair: Pair, check: Mapping[str, Any]) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase",
        name=_name(check["rule"]),
        classname=f"{_name(vantage)}.{_name(pair.target)}",
        time=f"{(check.get('latency_ms') or 0) / 1000:.3f}",
    )
    tag = _TAGS.get(check["status"])
    if tag == "failure":
        said = ElementTree.SubElement(case, tag, type=str(check["layer"]), message=clean(check.get("message")))
        said.text = "\n".join(_details(pair, check))
    elif tag:
        ElementTree.SubElement(case, tag)
    return case


def _details(pair: Pair, check: Mapping[str, Any]) -> Iterator[str]:
    yield f"address: {clean(pair.outcome['address'])}"
    yield f"layer: {clean(check['layer'])}"
    if check.get("remediation"):
        yield f"remediation: {clean(check['remediation'])}"


def _name(text: object) -> str:
    """Return a name that an XML token may be: no control characters, no blanks at its ends or several in a row."""
    return " ".join(clean(text).split()) or "?"
