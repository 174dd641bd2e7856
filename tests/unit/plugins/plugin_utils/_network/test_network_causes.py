# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is at fault when several hosts look at several targets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.plugin_utils._network.causes import Failure, causes_of

HOSTS = ["a", "b", "c"]


def told(broken: set[tuple[str, str]], probed: set[tuple[str, str]]) -> list[tuple[str, str]]:
    failures = [Failure(host, target, "tcp", {"message": "refused"}) for host, target in sorted(broken)]
    return [(cause.kind, cause.where) for cause in causes_of(failures, probed)]


def mesh(*targets: str) -> set[tuple[str, str]]:
    return {(host, target) for host in HOSTS for target in [*HOSTS, *targets]}


def test_a_dead_target_is_told_once() -> None:
    assert told({(host, "www") for host in HOSTS}, mesh("www")) == [("target", "www")]


def test_a_host_without_network_is_told_once_and_not_as_a_target() -> None:
    cut = {pair for pair in mesh("www") if "b" in pair and pair != ("b", "b")}
    assert told(cut, mesh("www")) == [("vantage", "b")]


def test_one_way_between_two_hosts() -> None:
    assert told({("a", "c")}, mesh("www")) == [("path", "a -> c")]


def test_a_cut_host_and_a_dead_target_at_the_same_time() -> None:
    broken = {pair for pair in mesh("www") if pair[0] == "b" != pair[1]} | {("a", "www"), ("c", "www")}
    assert told(broken, mesh("www")) == [("vantage", "b"), ("target", "www")]


def test_everything_broken_blames_the_targets_not_each_host() -> None:
    assert {kind for kind, _where in told(mesh("www"), mesh("www"))} == {"target"}


def test_a_dead_switch_blames_no_host_alone() -> None:
    broken = {pair for pair in mesh() if pair[0] != pair[1]}
    assert sorted(told(broken, mesh())) == [("target", "a"), ("target", "b"), ("target", "c")]


def test_a_single_host_blames_what_it_looks_at() -> None:
    assert told({("a", "www")}, {("a", "www"), ("a", "db")}) == [("target", "www")]


def test_a_service_that_is_down_is_told_once_and_one_that_is_filtered_too() -> None:
    down = {(host, "c") for host in HOSTS}
    assert told(down, mesh()) == [("target", "c")]
    assert told(down - {("c", "c")}, mesh()) == [("target", "c")]


def test_nothing_is_wrong_where_nothing_failed() -> None:
    assert told(set(), mesh("www")) == []


@given(st.sets(st.sampled_from(sorted(mesh("www", "db")))))
def test_every_failure_is_explained_exactly_once_and_nothing_else(broken: set[tuple[str, str]]) -> None:
    failures = [Failure(host, target, "tcp", {}) for host, target in sorted(broken)]
    explained = [
        (failure.vantage, failure.target)
        for cause in causes_of(failures, mesh("www", "db"))
        for failure in cause.failures
    ]
    assert sorted(explained) == sorted(broken)
