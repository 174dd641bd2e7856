# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The forms of the report, each read by somebody else: an XML parser, a JUnit reader, an HTML parser, promtool."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from junitparser import JUnitXml

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.plugin_utils._network.action import ARGUMENT_SPEC, run

HOSTILE = "\x1b[2J\u202e<script>alert(1)</script><img src=x onerror=y>\"'&]]>\ud800\x00\nnext"
DAY = 86400.0


def options(tmp_path, results, **more) -> dict:
    defaults = {name: option.get("default") for name, option in ARGUMENT_SPEC.items()}
    return {
        **defaults,
        "results": results,
        "directory": str(tmp_path / "reports"),
        "metrics_path": str(tmp_path / "network.prom"),
        "history_path": str(tmp_path / "history.sqlite"),
        **more,
    }


@pytest.fixture
def hostile(made):
    """Two hosts with everything that a name or a message could be, and a third that gave nothing."""
    bad = made.outcome(HOSTILE, failed=True)
    bad["address"] = HOSTILE
    for part in (bad["fault"], bad["checks"][0]):
        part.update(message=HOSTILE, remediation=HOSTILE)
    return {
        "web01": made.probed(bad, made.outcome("www"), hostname="web01"),
        "web02": made.probed(made.outcome("www", score=72), hostname=HOSTILE),
        "web03": {"failed": True, "msg": HOSTILE},
    }


class Page(HTMLParser):
    """Collects elements, attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements, self.attributes, self.words = [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_is_one_file_and_what_it_shows_of_others_is_text(tmp_path, hostile) -> None:
    run(options(tmp_path, hostile), 1000 * DAY)
    data = (tmp_path / "reports" / "network.html").read_bytes()
    text = data.decode("utf-8")
    page = Page()
    page.feed(text)
    assert not {"script", "img", "link", "iframe", "object"} & set(page.elements)
    assert not [name for name, _value in page.attributes if name.startswith("on") or name in ("src", "href")]
    assert "url(" not in text
    assert "@import" not in text
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e\ud800]", text)
    shown = "".join(page.words)
    assert "<script>alert(1)</script>" in shown
    assert "\\x1b[2J\\u202e" in shown
    cells = re.findall(r'<td class="(\w+)" title=', text)
    assert sorted(cells) == ["critical", "excellent", "fair"]
    assert text.count('class="bar"') == 2


def test_the_terminal_gets_no_escape_sequence(tmp_path, hostile) -> None:
    lines = run(options(tmp_path, hostile), 0.0)["lines"]
    assert lines
    assert all(line.isprintable() for line in lines)
    assert any("\\x1b[2J" in line for line in lines)


def test_junit_is_read_by_a_reader_of_junit(tmp_path, hostile) -> None:
    run(options(tmp_path, hostile), 1000 * DAY)
    path = tmp_path / "reports" / "network.xml"
    read = JUnitXml.fromfile(str(path))
    suites = list(read)
    assert [(suite.name, suite.tests, suite.failures, suite.errors, suite.skipped) for suite in suites] == [
        ("web01", 2, 1, 0, 0),
        ("web02", 1, 0, 0, 0),
        ("web03", 1, 0, 1, 0),
    ]
    failure = next(iter(suites[0])).result[0]
    assert failure.type == "tcp"
    assert "<script>alert(1)</script>" in failure.message


def test_junit_has_what_both_common_schemas_ask_for(tmp_path, hostile) -> None:
    """Ant's (https://github.com/windyroad/JUnit-Schema) and Jenkins' (junit-10.xsd), in words."""
    run(options(tmp_path, hostile), 1000 * DAY)
    root = ElementTree.parse(tmp_path / "reports" / "network.xml").getroot()
    assert (root.tag, root.attrib) == ("testsuites", {})
    for number, suite in enumerate(root):
        assert suite.tag == "testsuite"
        whole = ("tests", "failures", "errors", "skipped", "id")
        assert set(suite.attrib) == {"name", "package", "timestamp", "hostname", "time", *whole}
        assert all(suite.get(name).isdigit() for name in whole)
        assert int(suite.get("id")) == number
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp"))
        assert re.fullmatch(r"\d{1,3}\.\d{3}", suite.get("time"))
        tags = [part.tag for part in suite]
        assert tags == ["properties", *["testcase"] * int(suite.get("tests")), "system-out", "system-err"]
        assert all(set(entry.attrib) == {"name", "value"} for entry in suite[0])
        for case in suite.findall("testcase"):
            assert set(case.attrib) == {"name", "classname", "time"}
            assert len(case) <= 1
            for part in case:
                assert part.tag in ("skipped", "error", "failure")
                assert part.tag == "skipped" or set(part.attrib) == {"type", "message"}
        # What a token may be.
        names = [
            suite.get("name"),
            *(case.get(name) for case in suite.iter("testcase") for name in ("name", "classname")),
        ]
        assert all(name and name == " ".join(name.split()) for name in names)


def test_a_check_that_was_not_reached_is_skipped(tmp_path, made) -> None:
    outcome = made.outcome("www", failed=True)
    outcome["checks"].append({**outcome["checks"][0], "rule": "page", "layer": "application", "status": "not_reached"})
    run(options(tmp_path, {"web01": made.probed(outcome)}), 0.0)
    (suite,) = JUnitXml.fromfile(str(tmp_path / "reports" / "network.xml"))
    assert (suite.tests, suite.failures, suite.skipped) == (2, 1, 1)


def test_the_json_has_all_of_it_and_the_score_can_be_made_again(tmp_path, hostile) -> None:
    result = run(options(tmp_path, hostile), 1000 * DAY)
    whole = json.loads((tmp_path / "reports" / "network.json").read_bytes())
    assert whole["score"] == result["score"] == (40 + 100 + 72 + 0) // 4
    assert whole["grade"] == "CRITICAL"
    assert whole["results"]["web01"]["outcomes"][0]["fault"]["message"] == HOSTILE
    assert whole["missing"] == {"web03": HOSTILE}
    assert whole["counts"] == {"hosts": 2, "missing": 1, "pairs": 3, "ok": 2, "failed": 1}
    assert not (tmp_path / "reports" / "network.json").stat().st_mode & 0o077


def test_the_history_has_a_trend_and_a_failure_rate_and_is_bounded(tmp_path, made) -> None:
    for day, score in enumerate([100, 100, 100, 40, 40, 40]):
        results = {"a": made.probed(made.outcome("www", failed=score < 50)), "b": made.probed(made.outcome("www"))}
        result = run(options(tmp_path, results, last=4), (1000 + day) * DAY)
    past = {pair["vantage"]: pair["history"] for pair in result["pairs"]}
    assert past["a"] == {
        "scores": [100, 40, 40, 40],
        "rounds": 6,
        "failures": 3,
        "failure_percent": 50.0,
        "trend": "falling",
    }
    assert past["b"]["trend"] == "steady"
    assert any("50% of 6" in line for line in result["lines"])
    for day, more, rounds in ((1006, {"keep_runs": 3}, 3), (1007, {"keep_days": 2}, 3), (1008, {"keep_days": 1}, 2)):
        result = run(options(tmp_path, results, **more), day * DAY)
        assert {pair["history"]["rounds"] for pair in result["pairs"]} == {rounds}, more


def test_check_mode_writes_nothing_and_keeps_nothing(tmp_path, made) -> None:
    result = run(options(tmp_path, {"a": made.probed(made.outcome("www"))}), 0.0, check_mode=True)
    assert result["score"] == 100
    assert result["written"] == []
    assert list(tmp_path.iterdir()) == []


def test_a_score_that_is_too_low_fails_after_everything_was_written(tmp_path, made) -> None:
    results = {"a": made.probed(made.outcome("www", failed=True))}
    result = run(options(tmp_path, results, minimum_score=75), 0.0)
    assert result["failed"] is True
    assert result["error"]["kind"] == "unavailable"
    assert "www: tcp at fault" in result["msg"]
    assert len(result["written"]) == 4


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"results": {}}, "results is empty"),
        ({"results": {"a": {"outcomes": [{"item": "x"}]}}}, "results.a is no result"),
        ({"results": {"a": {"outcomes": "x"}}}, "results.a is no result"),
        ({"keep_days": 0}, "keep_days=0"),
        ({"keep_runs": 0}, "keep_runs=0"),
        ({"last": 0}, "last=0"),
        ({"minimum_score": 101}, "minimum_score=101"),
    ],
)
def test_bad_input_is_refused_by_name(tmp_path, made, more, told) -> None:
    given = {"a": made.probed(made.outcome("www"))}
    with pytest.raises(ValidationError, match=told) as refused:
        run({**options(tmp_path, given), **more}, 0.0)
    assert refused.value.hint
    assert list(tmp_path.iterdir()) == []
