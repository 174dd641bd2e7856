# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Joining wishes: the order does not matter, nothing is lost, and contradictions are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ConflictError
from ansible_collections.scripts.toolkit.plugins.module_utils._files.wire import Wanted
from ansible_collections.scripts.toolkit.plugins.plugin_utils._files.merge import merge_wishes
from ansible_collections.scripts.toolkit.plugins.plugin_utils._files.sources import Content
from ansible_collections.scripts.toolkit.plugins.plugin_utils._files.wishes import Wish


def wish(dest: str, text: str | None = None, option: str = "files[0]", **more) -> Wish:
    content = None if text is None else Content.of(text.encode())
    if content is not None:
        more.update(checksum=content.checksum, size=content.size)
    return Wish(Wanted(dest, **more), content, option)


_WISHES = st.lists(
    st.builds(
        lambda dest, text, mode, owner, notify, sensitive: wish(
            f"/{dest}", text, mode=mode, owner=owner, notify=notify, sensitive=sensitive
        ),
        st.sampled_from(["a", "b", "c/d"]),
        st.sampled_from(["x", "y"]),
        st.sampled_from([None, 0o600, 0o644]),
        st.sampled_from([None, "root"]),
        st.dictionaries(st.sampled_from(["u.service", "v.service"]), st.sampled_from(["reload", "restart"])),
        st.booleans(),
    ),
    max_size=6,
)


def merged(wishes: list[Wish]) -> dict | None:
    try:
        return {item.wanted.dest: item.wanted for item in merge_wishes(wishes)}
    except ConflictError:
        return None


@given(_WISHES, st.randoms())
def test_the_order_of_wishes_changes_nothing(wishes, random):
    shuffled = list(wishes)
    random.shuffle(shuffled)
    assert merged(shuffled) == merged(wishes)


@given(_WISHES)
def test_merging_keeps_what_every_wish_says(wishes):
    result = merged(wishes)
    by_path: dict = {}
    for item in wishes:
        by_path.setdefault(item.wanted.dest, []).append(item.wanted)
    contradicts = any(
        len({getattr(item, name) for item in same if getattr(item, name) is not None}) > 1
        for same in by_path.values()
        for name in ("checksum", "mode", "owner")
    )
    assert (result is None) is contradicts
    for dest, found in (result or {}).items():
        for said in by_path[dest]:
            assert found.checksum == said.checksum
            assert said.mode in (None, found.mode)
            assert said.owner in (None, found.owner)
            assert found.sensitive or not said.sensitive
            for unit, action in said.notify.items():
                assert found.notify[unit] in (action, "restart")


@given(_WISHES)
def test_merging_twice_is_merging_once(wishes):
    result = merged(wishes)
    if result is not None:
        assert merged(merge_wishes([*wishes, *wishes])) == result


def test_a_contradiction_names_both_options():
    with pytest.raises(ConflictError, match=r"files\[1\] and trees\[0\] site both want /etc/a, with different content"):
        merge_wishes([wish("/etc/a", "x", "files[1]"), wish("/etc/a", "y", "trees[0] site")])


def test_a_file_can_not_hold_another():
    with pytest.raises(ConflictError, match=r"files\[1\] wants /a/b below /a"):
        merge_wishes([wish("/a", "x"), wish("/a/b", "x", "files[1]")])
    with pytest.raises(ConflictError, match="state=absent"):
        merge_wishes([wish("/a", state="absent"), wish("/a/b/c", "x")])


def test_absent_below_absent_is_no_contradiction():
    assert len(merge_wishes([wish("/a", state="absent"), wish("/a/b", state="absent")])) == 2
