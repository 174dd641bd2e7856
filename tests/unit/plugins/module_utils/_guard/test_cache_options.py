# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_options import (
    CACHE_SPEC,
    CachePolicy,
    cache_directory,
    cache_policy_of,
)

SECRET = b"s" * 32


def key(policy: CachePolicy, arguments: dict, host: str = "web01") -> str:
    return policy.key_of(SECRET, "m", arguments, host, "1", {})


def test_only_the_time_to_live_is_needed() -> None:
    nothing = dict.fromkeys(CACHE_SPEC)
    policy = cache_policy_of({**nothing, "ttl": "60"})
    assert policy == CachePolicy(60.0, "auto", 300.0, "host", False, cache_directory(None), "fail")
    assert os.path.isabs(policy.directory)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "cache.ttl is missing"),
        ({"ttl": 0}, "cache.ttl=0"),
        ({"ttl": "soon"}, "cache.ttl='soon'"),
        ({"ttl": float("inf")}, "cache.ttl=inf"),
        ({"ttl": 1, "wait": -1}, "cache.wait=-1"),
        ({"ttl": 1, "key": " "}, "cache.key is empty"),
        ({"ttl": 1, "scope": "play"}, "cache.scope='play'"),
        ({"ttl": 1, "on_error": "ignore"}, "cache.on_error='ignore'"),
        ({"ttl": 1, "directory": "cache"}, "cache.directory='cache' is no absolute path"),
        ({"ttl": 1, "tll": 1}, "cache.tll is no option"),
    ],
)
def test_a_wrong_option_is_named(options: dict, named: str) -> None:
    with pytest.raises(ValidationError) as told:
        cache_policy_of(options)
    assert named in told.value.message
    assert told.value.hint


def test_a_key_of_ones_own_stands_for_the_arguments() -> None:
    auto, own = cache_policy_of({"ttl": 1}), cache_policy_of({"ttl": 1, "key": "release"})
    assert key(auto, {"a": 1}) != key(auto, {"a": 2})
    assert key(own, {"a": 1}) == key(own, {"a": 2})
    assert key(own, {}) not in (key(auto, {}), key(auto, {"key": "release"}), key(own, {}, "web02"))


def test_the_scope_says_whether_hosts_share() -> None:
    shared = cache_policy_of({"ttl": 1, "scope": "global"})
    assert key(shared, {}) == key(shared, {}, "web02")
    assert key(shared, {}) != key(cache_policy_of({"ttl": 1}), {}, "")
