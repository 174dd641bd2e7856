# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Searching: what is asked for is found, page by page, through an index, in few statements."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from index_trail import Trail, at

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search import query
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.index import select as select_module
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.query import (
    Filters,
    filters_of,
    jmespath_filter,
    parse_text,
    parse_time,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    DependencyError,
    NotFoundError,
    ValidationError,
)

BEGIN = 1_700_000_000_000
HOSTS = ("web1", "web2", "db1", "wéb")
STATUSES = ("ok", "changed", "failed")
MODULES = ("ansible.builtin.copy", "ansible.builtin.command", "scripts.toolkit.packages")
PATHS = ("/etc/nginx/nginx.conf", "/etc/nginx/sites/a", "/etc/motd", "/tmp/a[b]c", "/etc/100%_x")
MESSAGES = ("Permission denied", "permission of disk: full", "disk full", "the Größe is full_of it", "", "a-b-c denied")


@pytest.fixture(scope="module")
def trail(tmp_path_factory):
    """About 300 entries over eleven minutes, the last ones in a living journal."""
    trail = Trail(tmp_path_factory.mktemp("trail"))
    patch = pytest.MonkeyPatch()
    clock = at(patch, BEGIN)
    number = 0
    for user, script in (
        ("alice", "/srv/site.yml"),
        ("bob", "/srv/deep/site.yml"),
        ("alice", "/srv/db.yml"),
        ("eve", "x"),
    ):
        run = trail.start(user=user, script=script, hostname="ctl1" if user == "alice" else "ctl2")
        for _count in range(70):
            number += 1
            clock.milliseconds += 2500 if number % 5 else 0
            more = {"path": PATHS[number % 7]} if number % 7 < len(PATHS) else {}
            run.task(host=HOSTS[number % 4], status=STATUSES[number % 3], module=MODULES[number % 11 % 3],
                     msg=MESSAGES[number % len(MESSAGES)], rc=number % 2, **more)  # fmt: skip
        if user != "eve":
            run.end(hosts={"web1": {"ok": 3}})
            trail.integrate()
    patch.undo()
    with trail.index():
        yield trail
    run.abandon()


def answers(trail, filters, **more):
    with trail.index() as index:
        return list(index.each(filters, **more))


def by_hand(trail, filters):
    """Return what the filters without an index say."""
    return [record for record in answers(trail, Filters()) if filters.matches(record, parse_time(record["timestamp"]))]


def value_or_pattern(*values):
    """Values, such with wildcards, and some that are nowhere."""
    patterns = [*values, *(f"{value[:3]}*" for value in values), "*1", "?eb1", "nowhere"]
    return st.lists(st.sampled_from(patterns), min_size=1, max_size=3)


TEXTS = ["denied", '"permission denied"', "DENIED full", "den*", "-denied", "full -disk", "größe", "grosse", "grö*",
         "full_of", '"disk full"', "web1", "a b", '"a b"', "copy", "nowhere", "site", "-web1 -web2"]  # fmt: skip


def query_time(second):
    return f"2023-11-14T22:{13 + (20 + second) // 60:02d}:{(20 + second) % 60:02d}Z"


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "host": value_or_pattern(*HOSTS),
        "status": value_or_pattern(*STATUSES),
        "module": value_or_pattern(*MODULES, "copy", "packages"),
        "path": value_or_pattern(*PATHS, "/etc/nginx/"),
        "user": value_or_pattern("alice", "bob"),
        "script": value_or_pattern("site.yml", "/srv/site.yml", "db.yml"),
        "event": st.lists(st.sampled_from(["TASK_RESULT", "execution-start", "EXECUTION_*"]), min_size=1, max_size=2),
        "controller": value_or_pattern("ctl1"),
        "since": st.integers(-60, 700).map(query_time),
        "until": st.integers(-60, 700).map(query_time),
        "text": st.sampled_from(TEXTS),
    },
)


@settings(max_examples=70, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILTERS)
def test_index_and_filter_say_the_same(trail, options):
    filters = filters_of(options)
    found, expected = answers(trail, filters), by_hand(trail, filters)
    assert [entry["salt"] for entry in found] == [entry["salt"] for entry in expected]
    with trail.index() as index:
        assert index.count(filters) == len(expected)
        assert sum(index.counts("status", filters).values()) == len(expected)


WAYS = ("_MERGED", "_SORTED", "_RARE", "_SET")


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILTERS, st.tuples(*(st.sampled_from([0, 1, 20, 60000]) for _name in WAYS)))
def test_every_way_through_the_index_finds_the_same(trail, options, ways):
    before = [getattr(select_module, name) for name in WAYS]
    filters = filters_of(options)
    expected = answers(trail, filters)
    try:
        for name, value in zip(WAYS, ways, strict=True):
            setattr(select_module, name, value)
        assert answers(trail, filters) == expected
        assert answers(trail, filters, newest=True) == expected[::-1]
    finally:
        for name, value in zip(WAYS, before, strict=True):
            setattr(select_module, name, value)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILTERS, st.integers(1, 50), st.booleans())
def test_pages_follow_each_other_without_gap_or_overlap(trail, options, size, newest):
    filters = filters_of(options)
    pages, cursor = [], None
    with trail.index() as index:
        while True:
            page = index.search(filters, size, cursor, newest)
            pages.append(page.entries)
            cursor = page.cursor
            if cursor is None:
                break
        expected = list(index.each(filters, newest))
    assert [entry for page in pages for entry in page] == expected
    assert all(len(page) == size for page in pages[:-1])


def test_a_page_stays_what_it_was_while_more_is_recorded(tmp_path):
    trail = Trail(tmp_path)
    trail.run(*({"host": f"web{number}"} for number in range(20)))
    wanted = filters_of({"event": "TASK_RESULT"})
    with trail.index() as index:
        first = index.search(wanted, 5)
        expected = index.search(wanted, 5, first.cursor).entries
    trail.run({"host": "new"})
    with trail.index() as index:
        assert index.search(wanted, 5, first.cursor).entries == expected


INDEXED = [
    ({"host": "web1"}, r"SEARCH e USING INDEX entry_host \(host=\? AND rowid>\? AND rowid<\?\)"),
    ({"script": "site.yml"}, r"MERGE \(UNION ALL\)"),
    ({"user": "alice"}, r"USING INDEX entry_account"),
    ({"event": "PLAY_START", "user": "alice"}, None),
    ({"event": "EXECUTION_END", "user": "alice"}, r"USING INDEX entry_event"),
    ({"status": "failed"}, r"USING INDEX entry_status"),
    ({"module": "ansible.builtin.copy"}, r"USING INDEX entry_module"),
    ({"path": "/etc/motd"}, r"USING INDEX entry_path"),
    ({"since": "2023-11-14T22:15:00Z"}, r"USING INTEGER PRIMARY KEY \(rowid>\? AND rowid<\?\)"),
    ({"text": "denied"}, r"VIRTUAL TABLE INDEX \d+:.*M"),
]


@pytest.mark.parametrize(("options", "plan"), INDEXED, ids=[" ".join(options) for options, _plan in INDEXED])
def test_an_index_gives_the_rows_in_order(trail, options, plan):
    with trail.index() as index:
        selection = index.store.select(filters_of(options), None, True, 101)
        if plan is None:
            assert not selection.sql
            return
        explained = [row[3] for row in index.store.query(f"EXPLAIN QUERY PLAN {selection.sql}", selection.values)]
    assert re.search(plan, "\n".join(explained))
    assert not [line for line in explained if "TEMP B-TREE" in line]
    assert not [line for line in explained if re.match(r"SCAN e\b", line)]


def test_the_rarest_word_is_walked(tmp_path):
    trail = Trail(tmp_path)
    trail.run(*({"host": f"web{number % 40}", "status": "failed" if number == 7 else "ok"} for number in range(200)))
    with trail.index() as index:
        selection = index.store.select(filters_of({"host": "web7", "status": "failed"}))
        assert "INDEXED BY entry_status" in selection.sql
        assert len(list(index.store.query(*selection))) == 1


def test_a_page_takes_few_statements_however_many_match(tmp_path):
    counts = []
    for size in (20, 400):
        trail = Trail(tmp_path / str(size))
        trail.run(*({"host": "web1", "msg": "disk full"} for _number in range(size)))
        with trail.index() as index:
            statements = []
            index.store.database.set_trace_callback(statements.append)
            assert len(index.search(filters_of({"host": "web1", "text": "disk"}), 10).entries) == 10
            # What follows "--" are statements of the full text's own.
            counts.append(len([text for text in statements if not text.startswith("--")]))
    assert counts[0] == counts[1] <= 8


def test_jmespath_filters_after_the_index(trail):
    holds = jmespath_filter("rc == `0` && contains(msg, 'disk')")
    with trail.index() as index:
        page = index.search(filters_of({"status": "failed"}), 5, holds=holds)
        rest = index.search(filters_of({"status": "failed"}), 500, page.cursor, holds=holds)
        expected = [
            entry
            for entry in index.each(filters_of({"status": "failed"}), newest=True)
            if entry["details"]["rc"] == 0 and "disk" in entry["details"]["msg"]
        ]
    assert len(page.entries) == 5
    assert page.entries + rest.entries == expected
    assert jmespath_filter("starts_with(nothing, 'x')")({"msg": "x"}) is False
    assert [jmespath_filter("a")({"a": value}) for value in (0, "", [], {}, None, False, "x")] == [
        True,
        *[False] * 5,
        True,
    ]


def test_without_its_library_jmespath_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(query, "HAS_JMESPATH", False)
    with pytest.raises(DependencyError, match="jmespath"):
        jmespath_filter("a")


def test_wrong_questions_are_answered_with_a_hint(trail):
    with trail.index() as index:
        for cursor in ("", "!!", "zzzzzzzzzzzzz", "A"):
            if cursor:
                with pytest.raises(ValidationError):
                    index.search(Filters(), 5, cursor)
        with pytest.raises(NotFoundError):
            index.run("nothing")
        with pytest.raises(NotFoundError):
            index.run("last~9")
        with pytest.raises(NotFoundError):
            index.run("")
        with pytest.raises(ValidationError, match="Several runs"):
            index.run("0")
    for text in ("---", '""', " * "):
        with pytest.raises(ValidationError):
            parse_text(text)
    with pytest.raises(ValidationError):
        jmespath_filter("a ==")


def test_runs_are_named_by_either_end_of_their_id_or_by_their_place(trail):
    with trail.index() as index:
        runs = [entry["run_id"] for entry in index.each(filters_of({"event": "EXECUTION_START"}))]
        assert [index.run(f"last~{number}") for number in range(4)] == runs[::-1]
        assert index.run("last") == runs[-1]
        assert [index.run(run[-12:]) for run in runs] == runs
        assert [index.run(run.upper()) for run in runs] == runs


NOW = 1_767_312_000.25  # 2026-01-02T00:00:00.25Z


@pytest.mark.parametrize(
    ("text", "end", "expected"),
    [
        ("2026-01-01", False, "2026-01-01T00:00:00+00:00"),
        ("2026-01-01", True, "2026-01-02T00:00:00+00:00"),
        ("2026-01-01T05:00", True, "2026-01-01T05:00:00+00:00"),
        ("2026-01-01T05:00:00.250Z", False, "2026-01-01T05:00:00.250+00:00"),
        ("2026-01-01T05:00:00+02:00", False, "2026-01-01T03:00:00+00:00"),
        ("90s", False, "2026-01-01T23:58:30.250+00:00"),
        ("15m", False, "2026-01-01T23:45:00.250+00:00"),
        ("2h", False, "2026-01-01T22:00:00.250+00:00"),
        ("3d", False, "2025-12-30T00:00:00.250+00:00"),
        ("1w", False, "2025-12-26T00:00:00.250+00:00"),
        ("now", False, "2026-01-02T00:00:00.250+00:00"),
        ("today", False, "2026-01-02T00:00:00+00:00"),
        ("yesterday", False, "2026-01-01T00:00:00+00:00"),
        ("yesterday", True, "2026-01-02T00:00:00+00:00"),
    ],
)
def test_points_in_time(text, end, expected):
    assert parse_time(text, end, NOW) == round(datetime.fromisoformat(expected).timestamp() * 1000)


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01", "5y", "2026-01-01T25:00", "99999999h", "١h"])
def test_what_is_no_point_in_time(text):
    with pytest.raises(ValidationError, match="point in time"):
        parse_time(text)
