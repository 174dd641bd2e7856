# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.canonical import (
    SAFE_INTEGER,
    cut,
    encode,
    plain,
)

_any_text = st.text(st.characters(blacklist_categories=[]))  # with lone surrogates
_leaf = st.none() | st.booleans() | st.integers() | st.floats() | _any_text | st.binary() | st.dates()
_values = st.recursive(
    _leaf, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_any_text, inner, max_size=4), max_leaves=10
)


def _walk(value):
    yield value
    for entry in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _walk(entry)


@settings(max_examples=60)
@given(st.dictionaries(_any_text, _values, max_size=5))
def test_any_reader_writes_the_same_bytes_again(details):
    data = encode(plain(details))
    parsed = json.loads(data)
    again = json.dumps(parsed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    assert again == data
    assert b"\n" not in data
    for value in _walk(parsed):
        assert not isinstance(value, float)
        assert not isinstance(value, int) or abs(value) <= SAFE_INTEGER
        assert not isinstance(value, dict) or all(key.isascii() for key in value)


class Tagged(str):
    """Stands for ansible-core's tagged strings, which the C encoder of json must not see as they are."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(2**53), "-9007199254740992"),
        (0.1, "0.1"),
        (float("nan"), "nan"),
        (True, True),
        (b"caf\xc3\xa9\xff", "café\\xff"),
        ({3: {"b", "a"}}, {"3": ["a", "b"]}),
        (("a", 1), ["a", 1]),
        ({"é": 1}, {"\\xe9": 1}),
        (datetime.date(2026, 1, 2), "2026-01-02"),
    ],
)
def test_plain(value, expected):
    assert plain(value) == expected


def test_plain_makes_exact_types():
    assert plain(Tagged("x")).__class__ is str
    assert next(iter(plain({Tagged("k"): 1}))).__class__ is str


def test_deep_nesting_ends():
    value: dict = {}
    deepest = value
    for _level in range(5000):
        deepest["a"] = {}
        deepest = deepest["a"]
    assert "nested too deeply" in encode(plain(value)).decode()


def test_lone_surrogates_are_replaced_and_flagged():
    assert json.loads(encode({"a": "x\ud800y", "b": ["\udfff"]})) == {
        "a": "x\ufffdy",
        "b": ["\ufffd"],
        "surrogates_replaced": True,
    }
    assert json.loads(encode({"a": "😀"})) == {"a": "😀"}


def test_members_are_sorted_and_escapes_are_short():
    assert encode({"b": 1, "a": '\n\x1f"\\/é\x7f'}) == b'{"a":"\\n\\u001f\\"\\\\/\xc3\xa9\x7f","b":1}'


@given(_any_text, st.integers(3, 200))
def test_cut_keeps_the_limit(text, limit):
    short = cut(text, limit)
    size = len(json.dumps(short, ensure_ascii=False).encode("utf-8", "replace")) - 2
    assert size <= limit
    if short != text:
        assert short.endswith("...")
        assert text.startswith(short[:-3])
