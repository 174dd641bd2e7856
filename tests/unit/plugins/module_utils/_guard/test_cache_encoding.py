# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import IntegrityError, ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_encoding import (
    cache_key,
    decode,
    encode,
    label,
    storable,
)

SECRET = b"s" * 32
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
data = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=12
)
few = st.sampled_from([None, True, False, 0, 1, 1.0, 0.0, -0.0, "0", "", "null"])
little = st.dictionaries(st.sampled_from(["a", "b"]), few | st.lists(few, max_size=1), max_size=2)


class Tagged(str):
    """As ansible-core's tagged strings: a subclass that says nothing of its own."""

    def __repr__(self) -> str:
        return "tagged"


class Encrypted:
    """As values of the vault in ansible-core 2.18."""

    __ENCRYPTED__ = True

    def __str__(self) -> str:
        return "b"


def key(arguments: dict, **changed: object) -> str:
    parts = {"secret": SECRET, "module": "m", "host": "h", "code_version": "1", "extra": {}, **changed}
    return cache_key(arguments=arguments, **parts)


def typed(value: object) -> object:
    """Return ``value`` so that what JSON spells otherwise is unequal: 1, 1.0 and true, 0.0 and -0.0."""
    if isinstance(value, dict):
        return {name: typed(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [typed(entry) for entry in value]
    return type(value).__name__, repr(value)


@given(little, little)
def test_keys_are_equal_where_the_arguments_are(first: dict, second: dict) -> None:
    assert (key(first) == key(second)) == (typed(first) == typed(second))
    assert key(first) == key(dict(reversed(first.items())))


@given(st.dictionaries(st.text(max_size=8), data, max_size=4))
def test_a_result_comes_back_as_it_was(result: dict) -> None:
    result = {
        name: value for name, value in result.items() if name != "invocation" and not name.startswith("_ansible_")
    }
    assert typed(decode(encode(result))) == typed(result)


def test_everything_counts_for_the_key() -> None:
    keys = {
        key({}),
        key({"1": None}),
        key({1: None}),
        key({"a": ["b"]}),
        key({"a": '["b"]'}),
        key({}, secret=b"t" * 32),
        key({}, module="n"),
        key({}, host="i"),
        key({}, code_version="2"),
        key({}, extra={"check": True}),
    }
    assert len(keys) == 10
    assert all(len(one) == 64 for one in keys)
    assert key({Tagged("a"): (Tagged("b"), 1)}) == key({"a": ["b", 1]})
    assert key({"a": Encrypted()}) == key({"a": "b"})
    assert "no plain data" in storable({"a": Encrypted()}, no_log=False, allow_changed=False)
    with pytest.raises(ValidationError, match="bytes is no plain data"):
        key({"a": b"raw"})


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"failed": True}, "failed"),
        ({"unreachable": True}, "unreachable"),
        ({"skipped": True}, "skipped"),
        ({"_ansible_no_log": True}, "no_log"),
        ({"ansible_job_id": "1.2"}, "background"),
        ({"changed": True}, "changed"),
        ({"when": {1: 2}}, "no strings"),
        ({"when": {1, 2}}, "set is no plain data"),
        ({"text": "x" * (1 << 20)}, "the most are"),
    ],
)
def test_what_is_not_kept(result: dict, reason: str) -> None:
    assert reason in storable(result, no_log=False, allow_changed=False)


def test_what_is_kept() -> None:
    good = {"changed": False, "failed": False, "out": Tagged("text"), "_ansible_no_log": False}
    assert storable(good, no_log=False, allow_changed=False) is None
    assert storable({**good, "changed": True}, no_log=False, allow_changed=True) is None
    assert "no_log" in storable(good, no_log=True, allow_changed=True)
    kept = {**good, "invocation": 1, "_ansible_parsed": True, "_ansible_facts_cacheable": True}
    back = decode(encode(kept))
    assert back == {"changed": False, "failed": False, "out": "text", "_ansible_facts_cacheable": True}
    assert not isinstance(back["out"], Tagged)


def test_too_deep_a_result_is_refused() -> None:
    deep: list = []
    for _time in range(100_000):
        deep = [deep]
    assert "nested too deeply" in storable({"deep": deep}, no_log=False, allow_changed=False)


def test_damage_is_no_result() -> None:
    for text in ("", "{", "[]", "null"):
        with pytest.raises(IntegrityError):
            decode(text)


def test_labels_can_be_written() -> None:
    assert label(Tagged("a \ud800 b")) == "a ? b"
