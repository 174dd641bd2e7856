# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of mariadb_schema."""

from __future__ import annotations

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    ConflictError,
    UnsafeError,
    ValidationError,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._mariadb.wishes import database_wishes, user_wishes


def database(name="shop", **options):
    return {"name": name, "charset": "utf8mb4", "collation": None, "state": "present", **options}


def user(name="shop", **options):
    preset = {"host": "localhost", "password": None, "plugin": None, "grants": None, "exclusive_grants": True}
    return {"name": name, **preset, "tls_required": None, "state": "present", **options}


def test_equal_entries_are_one_and_different_ones_a_conflict():
    assert len(database_wishes([database(), database()])) == 1
    assert len(user_wishes([user(password="x"), user(password="x"), user(host="%")], secure=True)) == 2
    with pytest.raises(ConflictError, match="database shop"):
        database_wishes([database(), database(state="absent")])
    with pytest.raises(ConflictError, match="'shop'@'localhost'"):
        user_wishes([user(password="x"), user(password="y")], secure=True)


def test_a_conflict_shows_no_password():
    with pytest.raises(ConflictError) as caught:
        user_wishes([user(password="hunter2"), user(password="hunter3")], secure=True)
    assert "hunter" not in str(caught.value.as_result())
    assert "hunter" not in repr(user_wishes([user(password="hunter2")], secure=True))


def test_collations():
    assert database_wishes([database(collation="uca1400_ai_ci")])[0].collation == "utf8mb4_uca1400_ai_ci"
    assert database_wishes([database(charset="binary", collation="binary")])[0].collation == "binary"
    assert database_wishes([database(charset="UTF8MB4", collation="UTF8MB4_bin")])[0].collation == "utf8mb4_bin"
    with pytest.raises(ValidationError, match="latin1_swedish_ci does not belong"):
        database_wishes([database(collation="latin1_swedish_ci")])
    with pytest.raises(ValidationError, match="charset"):
        database_wishes([database(charset="utf8mb4; DROP DATABASE shop")])


@pytest.mark.parametrize("name", ["mysql", "MySQL", "sys", "information_schema", "performance_schema"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_the_servers_own_databases_are_not_touched(name, state):
    with pytest.raises(UnsafeError, match="own"):
        database_wishes([database(name, state=state)])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"password": ""}, "empty"),
        ({"password": "x", "plugin": "unix_socket"}, "plugin=unix_socket"),
        ({"plugin": "mysql_native_password"}, "needs a password"),
        ({"plugin": "x OR unix_socket"}, "users.plugin"),
        ({"host": "local'host"}, "users.host"),
        ({"name": ""}, "users.name"),
    ],
)
def test_users_that_can_not_be(options, said):
    with pytest.raises(ValidationError, match=said):
        user_wishes([user(**options)], secure=True)


def test_a_remote_root_contradicts_secure():
    with pytest.raises(ConflictError, match="secure"):
        user_wishes([user("root", host="%", password="x")], secure=True)
    assert user_wishes([user("root", host="%", password="x")], secure=False)
    assert user_wishes([user("root", host="%", state="absent")], secure=True)
