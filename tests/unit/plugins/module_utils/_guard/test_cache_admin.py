# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is looked at and removed, against a model of patterns that shares nothing with the code."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import UnsafeError, ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_admin import SELECTORS, clean_cache, look
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_store import CacheStore

LETTERS = "abA-"
ANY, ONE = "*", "?"

words = st.text(LETTERS, max_size=4)
tokens = st.one_of(
    st.sampled_from([ANY, ONE]),
    st.sampled_from(LETTERS),
    st.tuples(st.booleans(), st.sets(st.sampled_from("abA"), min_size=1).map(sorted).map(tuple)),
)
patterns = st.lists(tokens, min_size=1, max_size=4)
wishes = st.lists(
    st.dictionaries(st.sampled_from(["module", "host", "name"]), st.lists(patterns, max_size=2), max_size=2), max_size=3
)
kept = st.lists(
    st.fixed_dictionaries({"module": words, "host": words, "name": words, "ttl": st.sampled_from([10, 1e9])}),
    max_size=6,
)


def spelled(pattern: list) -> str:
    return "".join(token if isinstance(token, str) else f"[{'!' * token[0]}{''.join(token[1])}]" for token in pattern)


def matches(text: str, pattern: list) -> bool:
    if not pattern:
        return not text
    token, rest = pattern[0], pattern[1:]
    if token == ANY:
        return any(matches(text[start:], rest) for start in range(len(text) + 1))
    if not text:
        return False
    if isinstance(token, str):
        fits = token in (ONE, text[0])
    else:
        negated, letters = token
        fits = (text[0] in letters) != negated
    return fits and matches(text[1:], rest)


def means(wish: dict, entry: dict) -> bool:
    return all(any(matches(entry[name], pattern) for pattern in listed) for name, listed in wish.items())


def means_everything(wish: dict) -> bool:
    return all(any(set(map(str, pattern)) <= {ANY, ONE} for pattern in listed) for listed in wish.values())


def fill(store: CacheStore, entries: list[dict], result: dict | None = None) -> None:
    for number, entry in enumerate(entries):
        _found, count = store.find(str(number), 1)
        assert store.put(str(number), json.dumps(result or {}), entry.get("ttl", 1e9), entry, count)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CacheStore]:
    store = CacheStore(str(tmp_path / "cache"), lambda: 1000.0)
    yield store
    store.close()


@settings(max_examples=150)
@given(kept, wishes, st.booleans())
def test_exactly_what_is_meant_goes(entries: list[dict], wanted: list[dict], expired: bool) -> None:
    asked = [{name: [spelled(pattern) for pattern in listed] for name, listed in wish.items()} for wish in wanted]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        now = [1000.0]
        store = CacheStore(directory, lambda: now[0])
        fill(store, entries)
        if any(map(means_everything, wanted)):
            with pytest.raises(UnsafeError, match="means all results"):
                clean_cache(store, asked, expired, False, check=False)
            assert len(list(store.entries())) == len(entries)
            return
        now[0] += 10
        last = [lambda entry: entry["ttl"] == 10] if expired else []
        meant = [*(functools.partial(means, wish) for wish in wanted), *last]
        first = [next((number for number, test in enumerate(meant) if test(entry)), -1) for entry in entries]
        counts = [first.count(number) for number in range(len(meant))]
        predicted = clean_cache(store, asked, expired, False, check=True).result()
        assert len(list(store.entries())) == len(entries)
        done = clean_cache(store, asked, expired, False, check=False).result()
        assert predicted == done
        assert [outcome["removed"] for outcome in done["outcomes"]] == counts
        assert len(done["diff"]) == sum(map(bool, counts))
        assert {int(entry.key) for entry in store.entries()} == {n for n, wish in enumerate(first) if wish == -1}
        again = clean_cache(store, asked, expired, False, check=False)
        assert not again.changed
        store.close()


def test_all_must_be_said_alone(store: CacheStore) -> None:
    fill(store, [{"host": "a"}, {"host": "b"}])
    for invalidate, everything in (([{"host": ["a"]}], True), ([], True), (None, False)):
        with pytest.raises(ValidationError):
            clean_cache(store, invalidate, False, everything, check=False)
    for wish in ({}, {"host": ["*"]}, {"host": ["a", "**"], "id": ["?*"]}):
        with pytest.raises(UnsafeError, match="means all results"):
            clean_cache(store, [wish], False, False, check=False)
    with pytest.raises(ValidationError, match=r"invalidate\.host has an empty pattern"):
        clean_cache(store, [{"host": ["a", ""]}], False, False, check=False)
    assert not clean_cache(store, [], False, False, check=False).changed
    assert clean_cache(store, None, True, True, check=False).result()["outcomes"][0]["removed"] == 2
    assert not list(store.entries())


def test_a_long_diff_is_cut(store: CacheStore) -> None:
    fill(store, [{"host": f"web{number}", "module": "m", "name": "n"} for number in range(60)])
    (diff,) = clean_cache(store, [{"host": ["web*"]}], False, False, check=True).result()["diff"]
    assert diff["before"].splitlines()[::50] == ["web59 m n", "and 10 more"]
    assert diff["after"] == ""


def test_nothing_is_made_where_there_is_none(store: CacheStore, tmp_path: Path) -> None:
    assert not clean_cache(store, None, False, True, check=False).changed
    assert look(store, {}, 10, True) == {
        "entries": [],
        "totals": {"entries": 0, "fresh": 0, "expired": 0, "size": 0, "hits": 0},
    }
    assert not list(tmp_path.iterdir())


def test_it_is_listed_and_summed_up(store: CacheStore) -> None:
    fill(store, [{"module": "m", "host": f"web{number}", "name": "n"} for number in range(3)], {"password": "x"})
    store.count_hit("0")
    found = look(store, {"host": ["web0", "web2"]}, 1, False)
    size = len("0mweb0n") + len('{"password": "x"}')
    assert found["totals"] == {"entries": 2, "fresh": 2, "expired": 0, "size": 2 * size, "hits": 1}
    (entry,) = found["entries"]
    assert entry == {
        "id": "0",
        "module": "m",
        "host": "web0",
        "name": "n",
        "age": 0.0,
        "ttl": 1e9,
        "fresh": True,
        "size": size,
        "hits": 1,
    }
    (entry,) = look(store, {name: [] for name in SELECTORS} | {"id": ["1"]}, 9, True)["entries"]
    assert entry["result"] == {"password": "***"}
    with pytest.raises(ValidationError, match="limit=-1"):
        look(store, {}, -1, False)
