# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Merging plans: order kept, same wishes joined, contradictions refused with both roles named."""

from __future__ import annotations

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ConflictError, ValidationError
from ansible_collections.scripts.toolkit.plugins.plugin_utils._plan import LISTS, MAPPINGS, merge_plans


def test_every_phase_is_present_and_empty_without_plans():
    assert merge_plans([]) == {"roles": [], **{name: [] for name in LISTS}, **{name: {} for name in MAPPINGS}}


def test_lists_are_joined_in_order_and_same_wishes_once():
    merged = merge_plans(
        [
            {"role": "nginx", "packages": ["nginx", "openssl"], "services": [{"name": "nginx.service"}]},
            None,
            {"role": "php_fpm", "packages": ["php-fpm", "openssl"]},
        ]
    )
    assert merged["roles"] == ["nginx", "php_fpm"]
    assert merged["packages"] == ["nginx", "openssl", "php-fpm"]
    assert merged["services"] == [{"name": "nginx.service"}]


def test_items_with_the_same_identity_are_completed():
    merged = merge_plans(
        [
            {"role": "a", "users": [{"name": "web", "groups": ["www-data"]}]},
            {"role": "b", "users": [{"name": "web", "groups": ["adm"], "shell": "/bin/sh"}]},
        ]
    )
    assert merged["users"] == [{"name": "web", "groups": ["www-data", "adm"], "shell": "/bin/sh"}]


def test_the_same_file_in_two_ways_names_both_roles():
    with pytest.raises(ConflictError, match=r"roles nginx and mariadb .* content .*files /etc/x"):
        merge_plans(
            [
                {"role": "nginx", "files": [{"dest": "/etc/x", "content": "1"}]},
                {"role": "mariadb", "files": [{"dest": "/etc/x", "content": "2"}]},
            ]
        )


def test_a_contradiction_inside_one_role_names_it():
    with pytest.raises(ConflictError, match="The role nginx asked for two values of content"):
        merge_plans([{"role": "nginx", "files": [{"dest": "/x", "content": "1"}, {"dest": "/x", "content": "2"}]}])


def test_mappings_are_joined_and_contradictions_refused():
    merged = merge_plans(
        [
            {"role": "system", "system": {"hostname": "web01", "sysctl": {"a": 1}}},
            {"role": "nginx", "system": {"hostname": None, "sysctl": {"b": 2}}},
        ]
    )
    assert merged["system"] == {"hostname": "web01", "sysctl": {"a": 1, "b": 2}}
    with pytest.raises(ConflictError, match=r"roles system and nginx .* hostname"):
        merge_plans([{"role": "system", "system": {"hostname": "a"}}, {"role": "nginx", "system": {"hostname": "b"}}])


def test_same_user_on_two_hosts_is_two_items():
    users = [{"name": "app", "host": "localhost"}, {"name": "app", "host": "10.0.0.1"}]
    assert merge_plans([{"role": "mariadb", "database_users": users}])["database_users"] == users


def test_inputs_are_left_alone():
    plan = {"role": "a", "users": [{"name": "web", "groups": ["x"]}], "system": {"sysctl": {"a": 1}}}
    other = {"role": "b", "users": [{"name": "web", "groups": ["y"]}], "system": {"sysctl": {"b": 1}}}
    merge_plans([plan, other])
    assert plan == {"role": "a", "users": [{"name": "web", "groups": ["x"]}], "system": {"sysctl": {"a": 1}}}


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"role": "a", "pakages": []}, "plans pakages, which is no phase"),
        ({"role": "a", "files": [{"content": "x"}]}, "has no dest"),
    ],
)
def test_bad_plans_are_named(plan, message):
    with pytest.raises(ValidationError, match=message):
        merge_plans([plan])
