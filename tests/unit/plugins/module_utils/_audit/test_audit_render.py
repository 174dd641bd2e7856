# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recorded text is hostile: nothing of it does anything where it is shown."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.render import (
    clean,
    csv_row,
    json_text,
    line_of,
    markdown,
    markdown_table,
    shorten,
    table,
    what,
    width_of,
)

ANY = st.text(st.characters(blacklist_categories=[])) | st.text(
    alphabet="\x1b[]();=+-@|`<>&\n\r\t\x07\x9b\u202e\u2028*_#!'\" a"
)
VALUES = ANY | st.integers() | st.none() | st.booleans() | st.lists(ANY) | st.dictionaries(ANY, ANY)
BAD = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(VALUES)
@example("\x1b[2J\x9b31m\x7f")
@example("\u202egnp.exe\u2066\u200b\ufeff")
@example({"key\x1b": ["\x07"]})
def test_nothing_reaches_a_terminal_but_text_of_one_line(value):
    shown = clean(value)
    assert not {unicodedata.category(character) for character in shown} & BAD
    assert clean(shown) == shown


def test_what_is_escaped_can_be_read():
    assert clean("a\x1b[31mb\nc\td\u202ee\U000e0001") == "a\\x1b[31mb\\nc\\td\\u202ee\\U000e0001"
    assert clean("Grüße, 漢字, C:\\x") == "Grüße, 漢字, C:\\x"
    assert [clean(value) for value in (None, True, False, 7, [1, "é"])] == ["", "true", "false", "7", '[1,"é"]']


@given(ANY)
@example('=HYPERLINK("http://x";"y")')
@example("\t=1+1")
@example(" \r\n@SUM(1)")
@example("＝1")
@example("'=1")
def test_no_cell_of_csv_is_a_formula(text):
    (row,) = csv.reader(io.StringIO(csv_row([text, 5, text])))
    assert row[0] == row[2]
    assert row[1] == "5"
    assert not row[0].lstrip(" \"'")[:1] or row[0].startswith("'") or row[0].lstrip(" \"'")[0] not in "=+-@＝＋－＠\t\r"
    assert not row[0].startswith(("=", "+", "-", "@"))
    assert len(csv_row([text]).splitlines()) <= 1


UNESCAPED = re.compile(r"(?<!\\)(?:\\\\)*[`*_{}\[\]()#+!|~<>]")


@given(ANY)
@example("<img src=x onerror=alert(1)>")
@example("[click](javascript:alert(1)) ![x](http://y) | # h\n- item\n1. one")
@example("\\`code`")
def test_markdown_shows_text_and_does_nothing(text):
    shown = markdown(text)
    assert "\n" not in shown
    assert not UNESCAPED.search(shown)
    assert "<" not in shown
    assert re.sub(r"\\(.)", r"\1", html.unescape(shown)) == clean(text)


def test_a_markdown_table_keeps_its_columns():
    lines = markdown_table(("A", "B"), [("a|b", "c\nd"), ("`", None)]).splitlines()
    assert len(lines) == 4
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines] == [3, 3, 3, 3]


@given(VALUES)
def test_json_is_ascii_without_control_characters(value):
    shown = json_text({"value": value})
    assert re.fullmatch(r"[\x20-\x7e]*", shown)
    assert json.loads(shown) == {"value": value}


@given(st.lists(st.tuples(ANY, ANY), max_size=4), st.integers(5, 60))
def test_a_table_has_a_line_for_every_row_in_its_width(rows, columns):
    lines = table(("ONE", "TWO"), rows, columns).split("\n")
    assert len(lines) == len(rows) + 1
    assert all(width_of(line) <= columns for line in lines)
    assert not {unicodedata.category(character) for line in lines for character in line} & BAD


def test_wide_characters_take_their_place():
    assert table(("A", "B"), [("漢字", "x"), ("e\u0301", "y")]).split("\n") == ["A     B", "漢字  x", "e\u0301     y"]
    assert shorten("漢字漢字", 7) == "漢字..."
    assert line_of(("a", "b"), (3,), 5) == "a    b"[:5] or width_of(line_of(("a", "b"), (3,), 5)) <= 5


EVENTS = ("EXECUTION_START", "EXECUTION_END", "PLAY_START", "TASK_RESULT", "FILE_MODIFICATION", "SENSITIVE_ACCESS", "X")
NAMES = ("task", "msg", "item", "path", "totals", "hosts", "duration_ms", "access")


@given(st.sampled_from(EVENTS), st.dictionaries(st.sampled_from(NAMES), VALUES) | VALUES)
def test_every_entry_can_be_told_in_words(event, details):
    assert isinstance(what({"event_type": event, "details": details}), str)
